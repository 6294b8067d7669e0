"""Diversity of the attention heads of a block."""

import torch
from jaxtyping import Float
from torch import Tensor


def head_diversity(log_attention: Float[Tensor, "b h n n"]) -> Float[Tensor, " h"]:
    """Mean Kullback-Leibler divergence in nats between the attention of each head and the others, NaN for one head.

    Averaged over images and queries; 0 if all heads are equal (Xie et al. 2023, arXiv 2205.13543, section 3.1).

    Args:
        log_attention: Among patches, see `among_patches`.
    """
    attention = log_attention.exp()
    # Attention of 0 gets a finite logarithm, so that 0 log 0 is 0.
    logarithm = log_attention.clamp(min=torch.finfo(log_attention.dtype).min)
    num_heads = log_attention.shape[1]
    # Differences of logarithms first, since untrained heads differ by less than rounding errors of entropies.
    sums = [
        (attention[:, [head]] * (logarithm[:, [head]] - logarithm)).sum(-1).mean((0, 2)).sum()
        for head in range(num_heads)
    ]
    return torch.stack(sums) / (num_heads - 1)
