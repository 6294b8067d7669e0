"""A change of coordinates in which gradient descent meets no narrow valleys."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mimbench.evaluation.features.extraction import Rows

_CHUNK = 65536


@dataclass(frozen=True)
class Whitening:
    """Standardizes features and turns them into uncorrelated ones of about unit variance.

    A linear head on whitened features is a linear head on standardized ones. With `decay` per whitened feature its
    ridge penalty is the same as well, so the optimum stays where it was; only the way there is short, and a learning
    rate means the same for every encoder and depth.

    Attributes:
        mean: Of the features it was made of.
        matrix: From centerd to whitened features.
        decay: Weight decay per whitened feature that equals `ridge` on weights of standardized features.
    """

    mean: Float[Tensor, " d"]
    matrix: Float[Tensor, "d d"]
    decay: Float[Tensor, " d"]

    @classmethod
    def of(cls, x: Rows, ridge: float) -> "Whitening":
        """Whitens `x`; directions of variance below `ridge` (relative to a channel's) are not blown up to 1."""
        mean, std = _moments(x)
        std = torch.where(std > 1e-6 * mean.abs(), std, 1)  # constant channels carry nothing
        # In double precision: products in TF32 would drown the small eigenvalues.
        parts = ((part - mean).div_(std).double() for part in x.blocks(_CHUNK))
        covariance = sum((part.T @ part for part in parts), mean.new_zeros((), dtype=torch.float64)) / len(x)
        values, vectors = torch.linalg.eigh(covariance)
        values = values.clamp(min=0) + ridge
        matrix = vectors * values.rsqrt() / std.double()[:, None]
        return cls(mean, matrix.to(mean.dtype), (ridge / values).to(mean.dtype))

    def __call__(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        return (x - self.mean) @ self.matrix


def _moments(x: Rows) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
    """Mean and standard deviation of every channel."""
    if len(x) <= _CHUNK:
        whole = x[:]
        return whole.mean(0), whole.std(0, correction=0)
    mean = sum(block.double().sum(0) for block in x.blocks(_CHUNK)) / len(x)
    square = sum((block.double() - mean).square_().sum(0) for block in x.blocks(_CHUNK)) / len(x)
    assert isinstance(mean, Tensor)
    assert isinstance(square, Tensor)
    return mean.float(), square.sqrt().float()
