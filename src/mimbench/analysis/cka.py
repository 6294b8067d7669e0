"""Centered kernel alignment: how similar two representations of the same images are."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def linear_cka(x: Float[Tensor, "n p"], y: Float[Tensor, "n q"], unbiased: bool = True) -> float:
    """Linear CKA of features of the same n images (Kornblith et al. 2019, arXiv 1905.00414, eq. 3).

    1 for features that agree up to rotation and isotropic scale. See `cka_matrix` for the estimator.
    """
    return float(cka_matrix([x], [y], unbiased))


def cka_matrix(
    first: Sequence[Float[Tensor, "_ _"]], second: Sequence[Float[Tensor, "_ _"]] | None = None, unbiased: bool = True
) -> Float[Tensor, "i j"]:
    """Linear CKA of every representation in `first` with every one in `second`, by default with each other.

    All n images are compared at once, in double precision; there are no minibatches. By default HSIC is the unbiased
    estimator of Song et al. (2012), as in the debiased CKA of the paper's own code: the paper's biased one tends to 1
    for any two representations with more channels than images. It is around 0, also below, for unrelated ones.

    Args:
        unbiased: False for the biased estimator of the paper's equation.

    Raises:
        ValueError: The representations are of different numbers of images, or of fewer than 4.
    """
    lengths = {len(x) for x in (*first, *(second or ()))}
    if len(lengths) > 1 or min(lengths) < 4:
        raise ValueError(f"CKA compares features of the same images, at least 4; got {sorted(lengths)} rows.")
    left = _directions(first, unbiased)
    right = left if second is None else _directions(second, unbiased)
    return left @ right.T


def _directions(representations: Sequence[Tensor], unbiased: bool) -> Tensor:
    """Centered Gram matrices as unit vectors; CKA is their cosine."""
    grams = torch.stack([_centered_gram(x, unbiased).flatten() for x in representations])
    return grams / grams.norm(dim=1, keepdim=True)


def _centered_gram(x: Float[Tensor, "n d"], unbiased: bool) -> Float[Tensor, "n n"]:
    x = x.double()
    x = x - x.mean(0)
    gram = x @ x.T
    if not unbiased:
        return gram
    # Without the diagonal, then centered so that rows without it sum to 0 (Székely and Rizzo 2014): the inner product
    # of two such matrices is n (n - 3) times Song's estimator.
    n = len(x)
    gram.fill_diagonal_(0)
    rows = gram.sum(1) / (n - 2)
    gram = gram - rows[:, None] - rows + rows.sum() / (n - 1)
    return gram.fill_diagonal_(0)
