"""Raw or patch-standardized pixels."""

import torch
from jaxtyping import Float
from torch import Tensor

from mimbench.targets.base import Target


class PixelTarget(Target):
    """Pixels of a cell in the order row, column, color; by default standardized within the cell (MAE, section 3).

    Args:
        cell: Side of a cell in pixels.
        normalize: Whether to subtract the cell's mean and divide by its standard deviation.
        eps: Added to the variance.
        channels: Color channels of an image.
        absolute: Whether the error is the absolute difference (SimMIM) instead of the squared one.
    """

    def __init__(self, cell: int, normalize: bool = True, eps: float = 1e-6, channels: int = 3, absolute: bool = False):
        super().__init__()
        self.cell = cell
        self.dim = channels * cell * cell
        self.normalize = normalize
        self.eps = eps
        self.absolute = absolute

    def values(self, prepared: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n d"]:
        patches = patchify(prepared, self.cell)
        if not self.normalize:
            return patches
        mean, deviation = self._statistics(patches)
        return (patches - mean) / deviation

    def error(self, prediction: Float[Tensor, "b n d"], value: Float[Tensor, "b n d"]) -> Float[Tensor, "b n"]:
        if self.absolute:
            return (prediction.to(value.dtype) - value).abs().mean(dim=-1)
        return super().error(prediction, value)

    def to_image(
        self, prediction: Float[Tensor, "b n d"], images: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, "b c h w"]:
        """Predictions as images; for standardized targets with the mean and deviation of every cell of `images`."""
        if self.normalize:
            mean, deviation = self._statistics(patchify(images, self.cell))
            prediction = prediction * deviation + mean
        return unpatchify(prediction, self.cell, self.grid(images))

    def _statistics(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        # Unbiased variance, as in all four released codes; the papers do not say.
        variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
        return mean, (variance + self.eps).sqrt()


def patchify(images: Float[Tensor, "b c h w"], cell: int) -> Float[Tensor, "b n d"]:
    """Cuts images into square cells in raster order, each flattened as (row, column, color)."""
    b, c, h, w = images.shape
    blocks = images.reshape(b, c, h // cell, cell, w // cell, cell)
    return blocks.permute(0, 2, 4, 3, 5, 1).reshape(b, -1, c * cell * cell)


def unpatchify(patches: Float[Tensor, "b n d"], cell: int, grid: tuple[int, int]) -> Float[Tensor, "b c h w"]:
    """The inverse of `patchify`."""
    rows, columns = grid
    blocks = patches.reshape(len(patches), rows, columns, cell, cell, -1)
    return blocks.permute(0, 5, 1, 3, 2, 4).reshape(len(patches), -1, rows * cell, columns * cell)
