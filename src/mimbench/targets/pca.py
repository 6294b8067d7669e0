"""Principal components of patches."""

import torch
from jaxtyping import Float
from torch import Tensor

from mimbench.targets.pixel import PixelTarget, patchify, unpatchify


class PCATarget(PixelTarget):
    """The largest principal components of a patch's raw pixels (MAE, Table 1d: 96 of 768).

    Args:
        cell: Side of a cell in pixels.
        images: Images from which the components are estimated, normalized as by the datamodule.
        num_components: Number of components that are predicted.

    Raises:
        ValueError: `num_components` exceeds the values of a cell.
    """

    mean: Tensor
    components: Tensor

    def __init__(self, cell: int, images: Float[Tensor, "n c h w"], num_components: int = 96):
        super().__init__(cell, normalize=False, channels=images.shape[1])
        if not 0 < num_components <= self.dim:
            raise ValueError(
                f"A cell of {cell} px has {self.dim} components, got target.num_components={num_components}; "
                f"set it to a number from 1 to {self.dim}."
            )
        mean, components = principal_components(patchify(images, cell).flatten(0, 1), num_components)
        self.dim = num_components
        self.register_buffer("mean", mean)
        self.register_buffer("components", components)

    def values(self, prepared: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n d"]:
        return (patchify(prepared, self.cell) - self.mean) @ self.components.T

    def to_image(
        self, prediction: Float[Tensor, "b n d"], images: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, "b c h w"]:
        """Images with the predicted components, and the mean image's values in all other components."""
        patches = prediction.to(self.components.dtype) @ self.components + self.mean
        return unpatchify(patches, self.cell, self.grid(images))


def principal_components(
    vectors: Float[Tensor, "n d"], count: int
) -> tuple[Float[Tensor, " d"], Float[Tensor, "count d"]]:
    """Mean, and unit directions in descending order of variance; the largest entry of each is positive."""
    mean = vectors.double().mean(0)
    if vectors.is_meta:
        return vectors.new_empty(vectors.shape[1]), vectors.new_empty(count, vectors.shape[1])
    centered = vectors.double() - mean
    directions = torch.linalg.eigh(centered.T @ centered).eigenvectors.T.flip(0)[:count]
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    return mean.to(vectors.dtype), (directions * largest.sign()).to(vectors.dtype)
