"""Singular values and effective rank of features."""

import torch
from jaxtyping import Float
from torch import Tensor


def singular_values(features: Float[Tensor, "n d"]) -> Float[Tensor, " k"]:
    """Singular values in descending order, k = min(n, d), in double precision; features are not centered."""
    return torch.linalg.svdvals(features.double())


def rankme(values: Float[Tensor, " k"], eps: float = 1e-7) -> float:
    """Effective rank of features with these singular values (RankMe, Garrido et al. 2023, arXiv 2210.02885, eq. 1).

    The exponential of the entropy of the singular values' shares, from 1 to k. It cannot exceed the number of images
    and grows with it, so only ranks of equally many images can be compared; the paper takes 25,600.

    Args:
        eps: Added to every share, as in the paper.

    Example:
        >>> round(rankme(torch.ones(4)), 3), round(rankme(torch.tensor([1.0, 0.0, 0.0, 0.0])), 3)
        (4.0, 1.0)
    """
    shares = values / values.sum() + eps
    return float(torch.exp(-(shares * shares.log()).sum()))
