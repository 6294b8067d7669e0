"""Whitening of features, after which gradient descent converges in few steps."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mimbench.evaluation.features.extraction import Rows

_CHUNK = 65536


@dataclass(frozen=True)
class Whitening:
    """Standardizes features and decorrelates them to about unit variance.

    A linear head on whitened features is also one on standardized features, and with weight decay `decay` its ridge
    penalty is the same, so the optimum does not change. Gradient descent converges faster, and one learning rate suits
    every encoder and depth.

    Attributes:
        mean: Mean of the features.
        matrix: Maps centered to whitened features.
        decay: Weight decay per whitened feature that equals `ridge` on weights of standardized features.
    """

    mean: Float[Tensor, " d"]
    matrix: Float[Tensor, "d d"]
    decay: Float[Tensor, " d"]

    @classmethod
    def of(cls, x: Rows, ridge: float) -> "Whitening":
        """The whitening of `x`; directions with a variance below `ridge` (of standardized features) stay below 1."""
        mean, std = _moments(x)
        std = torch.where(std > 1e-6 * mean.abs(), std, 1)  # constant channels have no information
        # In double precision, since rounding errors of TF32 exceed the small eigenvalues.
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
