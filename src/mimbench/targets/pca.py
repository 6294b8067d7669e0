"""Principal components of patches."""

import torch
from jaxtyping import Float
from torch import Tensor

from mimbench.targets.pixel import PixelTarget, patchify, unpatchify


class PCATarget(PixelTarget):
    """The largest principal components of a patch's raw pixels (MAE, Table 1d: 96 of 768).

    Args:
        cell: Side of a cell in pixels.
        images: What the components are estimated from, normalised as the datamodule does.
        num_components: How many are predicted.

    Raises:
        ValueError: A cell has fewer values than components are asked for.
    """

    mean: Tensor
    components: Tensor

    def __init__(self, cell: int, images: Float[Tensor, "n c h w"], num_components: int = 96):
        super().__init__(cell, normalize=False, channels=images.shape[1])
        if not 0 < num_components <= self.dim:
            raise ValueError(
                f"A cell of {cell} px has {self.dim} components, {num_components} are asked for; "
                f"set target.num_components to {self.dim} or less."
            )
        mean, components = principal_components(patchify(images, cell).flatten(0, 1), num_components)
        self.dim = num_components
        self.register_buffer("mean", mean)
        self.register_buffer("components", components)

    def values(self, prepared: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n d"]:
        return (patchify(prepared, self.cell) - self.mean) @ self.components.T

    def paint(self, prediction: Float[Tensor, "b n d"], images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The patches that have these components, and the mean in all others."""
        patches = prediction.to(self.components.dtype) @ self.components + self.mean
        return unpatchify(patches, self.cell, self.grid(images))


def principal_components(
    vectors: Float[Tensor, "n d"], count: int
) -> tuple[Float[Tensor, " d"], Float[Tensor, "count d"]]:
    """Mean and unit directions of the largest variance, in descending order; the largest entry of each is positive."""
    mean = vectors.double().mean(0)
    if vectors.is_meta:
        return vectors.new_empty(vectors.shape[1]), vectors.new_empty(count, vectors.shape[1])
    centred = vectors.double() - mean
    directions = torch.linalg.eigh(centred.T @ centred).eigenvectors.T.flip(0)[:count]
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    return mean.to(vectors.dtype), (directions * largest.sign()).to(vectors.dtype)
