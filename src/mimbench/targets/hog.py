"""Histograms of oriented gradients."""

import math
from collections.abc import Hashable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from mimbench.core import Mask
from mimbench.targets.base import Target


class HOGTarget(Target):
    """Orientation histograms per color channel and cell, each of unit length (LocalMIM, released code; MaskFeat).

    Every pixel votes for the bin of its gradient's orientation with the gradient's magnitude.

    Args:
        cell: Side of a cell in pixels.
        bins: Number of orientation bins over 180 degrees; opposite gradients share a bin.
        bias: Whether to add a frozen random bias to the two gradient components, one pair per target. It is probably
            an oversight of the released code, but belongs to the recipe of LocalMIM's ViT-L and Swin and to their
            weights.
        channels: Color channels of an image.
    """

    sobel: Tensor
    offset: Tensor | None

    def __init__(self, cell: int, bins: int = 9, bias: bool = False, channels: int = 3):
        super().__init__()
        if bins < 1:
            raise ValueError(f"A histogram needs at least one bin, got target.bins={bins}.")
        self.cell = cell
        self.bins = bins
        self.dim = channels * bins
        row = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
        # Not used here: released files contain these filters, and importing them compares the values.
        self.register_buffer("sobel", torch.stack([row, row.T])[:, None], persistent=False)
        # PyTorch's default initial bias of a convolution with a fan-in of 9, as in the released code.
        self.register_buffer("offset", torch.empty(2).uniform_(-1 / 3, 1 / 3) if bias else None)

    @property
    def preparation(self) -> Hashable:
        return id(self) if self.offset is not None else ("hog", self.bins)

    def prepare(self, images: Float[Tensor, "b c h w"], mask: Mask | None = None) -> "Votes":
        """The votes of all pixels."""
        first, second = _sobel(images)
        if self.offset is not None:
            first, second = first + self.offset[0], second + self.offset[1]
        bin_index = torch.atan2(first, second).div_(math.pi).mul_(self.bins).floor_().remainder_(self.bins)
        return Votes(bin_index.long(), torch.hypot(first, second), self.bins)

    def values(self, prepared: "Votes") -> Float[Tensor, "b n d"]:
        histogram = prepared.histogram(self.cell).flatten(1, 2) / self.cell**2
        return F.normalize(histogram, dim=3).flatten(2)


class Votes:
    """The orientation bin and the gradient magnitude of every pixel.

    Histograms are cached by cell size; those of larger cells are sums of cached ones where the sizes divide.
    """

    def __init__(self, bin_index: Int[Tensor, "b c h w"], magnitude: Float[Tensor, "b c h w"], num_bins: int):
        self.bin_index, self.magnitude, self.num_bins = bin_index, magnitude, num_bins
        self._histograms: dict[int, Tensor] = {}

    def histogram(self, cell: int) -> Float[Tensor, "b rows columns c bins"]:
        """Sums of magnitudes by cell, color channel and bin."""
        finer = [smaller for smaller in self._histograms if cell % smaller == 0]
        if finer:
            histogram = _pool(self._histograms[max(finer)], cell // max(finer))
        else:
            count = _count if self.magnitude.device.type == "cpu" else _count_deterministically
            histogram = count(self.bin_index, self.magnitude, cell, self.num_bins)
        self._histograms[cell] = histogram
        return histogram


def _sobel(images: Float[Tensor, "b c h w"]) -> tuple[Tensor, Tensor]:
    """Sobel gradients along rows and columns, without a convolution; equal neighbors cancel exactly."""
    x = F.pad(images, (1, 1, 1, 1), mode="reflect")
    along, across = x[..., :-2] - x[..., 2:], x[..., :-2, :] - x[..., 2:, :]
    first = along[..., :-2, :].add(along[..., 1:-1, :], alpha=2).add_(along[..., 2:, :])
    return first, across[..., :-2].add(across[..., 1:-1], alpha=2).add_(across[..., 2:])


def _count(
    bin_index: Int[Tensor, "b c h w"], magnitude: Float[Tensor, "b c h w"], cell: int, num_bins: int
) -> Float[Tensor, "b rows columns c bins"]:
    """Adds every magnitude to its bin."""
    b, c, h, w = magnitude.shape
    grid = h // cell, w // cell
    rows, columns = (torch.arange(side, device=magnitude.device) // cell for side in (h, w))
    colors = torch.arange(c, device=magnitude.device)[:, None, None]
    first_bin = ((rows[:, None] * grid[1] + columns) * c + colors) * num_bins
    sums = magnitude.new_zeros(b, grid[0] * grid[1] * c * num_bins)
    sums.scatter_add_(1, (bin_index + first_bin).flatten(1), magnitude.flatten(1))
    return sums.reshape(b, *grid, c, num_bins)


def _count_deterministically(
    bin_index: Int[Tensor, "b c h w"], magnitude: Float[Tensor, "b c h w"], cell: int, num_bins: int
) -> Float[Tensor, "b rows columns c bins"]:
    """`_count` with one plane per bin: more memory traffic, but `scatter_add_` on a GPU has no fixed order."""
    b, c, h, w = magnitude.shape
    planes = magnitude.new_zeros(b * c, num_bins, h, w)
    planes.scatter_(1, bin_index.reshape(b * c, 1, h, w), magnitude.reshape(b * c, 1, h, w))
    return F.avg_pool2d(planes, cell, divisor_override=1).unflatten(0, (b, c)).permute(0, 3, 4, 1, 2)


def _pool(histogram: Float[Tensor, "b r s c bins"], factor: int) -> Float[Tensor, "b rows columns c bins"]:
    """Sums the histograms of factor x factor cells."""
    rows, columns = (side // factor for side in histogram.shape[1:3])
    return histogram.unflatten(2, (columns, factor)).unflatten(1, (rows, factor)).sum((2, 4))
