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
    """Orientation histograms per colour and cell, each of unit length (LocalMIM, released code; MaskFeat).

    Every pixel votes for one bin of its signed orientation with its gradient's magnitude.

    Args:
        cell: Side of a cell in pixels.
        bins: Orientations over half a turn; opposite gradients share a bin.
        bias: Whether to add a frozen random bias to the two gradients, one pair per target. It looks like an
            accident of the released code, but it is the recipe of LocalMIM's ViT-L and Swin, and part of the weights.
        channels: Colours of an image.
    """

    sobel: Tensor
    offset: Tensor | None

    def __init__(self, cell: int, bins: int = 9, bias: bool = False, channels: int = 3):
        super().__init__()
        if bins < 1:
            raise ValueError(f"A histogram needs bins, got bins={bins}.")
        self.cell = cell
        self.bins = bins
        self.dim = channels * bins
        row = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
        # Released files have the filters that `_sobel` computes without a convolution; importing compares them.
        self.register_buffer("sobel", torch.stack([row, row.T])[:, None], persistent=False)
        # PyTorch's default bias of a convolution with a fan-in of 9, which the released code leaves in place.
        self.register_buffer("offset", torch.empty(2).uniform_(-1 / 3, 1 / 3) if bias else None)

    @property
    def preparation(self) -> Hashable:
        return id(self) if self.offset is not None else ("hog", self.bins)

    def prepare(self, images: Float[Tensor, "b c h w"], mask: Mask | None = None) -> "Votes":
        """Every pixel's vote."""
        first, second = _sobel(images)
        if self.offset is not None:
            first, second = first + self.offset[0], second + self.offset[1]
        bin_of = torch.atan2(first, second).div_(math.pi).mul_(self.bins).floor_().remainder_(self.bins)
        return Votes(bin_of.long(), torch.hypot(first, second), self.bins)

    def values(self, prepared: "Votes") -> Float[Tensor, "b n d"]:
        histogram = prepared.histogram(self.cell).flatten(1, 2) / self.cell**2
        return F.normalize(histogram, dim=3).flatten(2)


class Votes:
    """What every pixel votes for, and with how much.

    Histograms that were counted are kept: those of larger cells add them up instead of counting anew.
    """

    def __init__(self, bin_of: Int[Tensor, "b c h w"], votes: Float[Tensor, "b c h w"], bins: int):
        self.bin_of, self.votes, self.bins = bin_of, votes, bins
        self._counted: dict[int, Tensor] = {}

    def histogram(self, cell: int) -> Float[Tensor, "b rows columns c bins"]:
        """Sums of votes by cell, colour and bin."""
        finer = [smaller for smaller in self._counted if cell % smaller == 0]
        if finer:
            histogram = _pool(self._counted[max(finer)], cell // max(finer))
        else:
            count = _count if self.votes.device.type == "cpu" else _count_in_order
            histogram = count(self.bin_of, self.votes, cell, self.bins)
        self._counted[cell] = histogram
        return histogram


def _sobel(images: Float[Tensor, "b c h w"]) -> tuple[Tensor, Tensor]:
    """Differences along rows and along columns, smoothed across; equal neighbours cancel exactly."""
    x = F.pad(images, (1, 1, 1, 1), mode="reflect")
    along, across = x[..., :-2] - x[..., 2:], x[..., :-2, :] - x[..., 2:, :]
    first = along[..., :-2, :].add(along[..., 1:-1, :], alpha=2).add_(along[..., 2:, :])
    return first, across[..., :-2].add(across[..., 1:-1], alpha=2).add_(across[..., 2:])


def _count(
    bin_of: Int[Tensor, "b c h w"], votes: Float[Tensor, "b c h w"], cell: int, bins: int
) -> Float[Tensor, "b rows columns c bins"]:
    """Adds every vote to its bin."""
    b, c, h, w = votes.shape
    grid = h // cell, w // cell
    rows, columns = (torch.arange(side, device=votes.device) // cell for side in (h, w))
    colours = torch.arange(c, device=votes.device)[:, None, None]
    place = ((rows[:, None] * grid[1] + columns) * c + colours) * bins
    sums = votes.new_zeros(b, grid[0] * grid[1] * c * bins)
    return sums.scatter_add_(1, (bin_of + place).flatten(1), votes.flatten(1)).reshape(b, *grid, c, bins)


def _count_in_order(
    bin_of: Int[Tensor, "b c h w"], votes: Float[Tensor, "b c h w"], cell: int, bins: int
) -> Float[Tensor, "b rows columns c bins"]:
    """The same with a picture per bin: more memory traffic, but a GPU would add scattered votes in any order."""
    b, c, h, w = votes.shape
    spread = votes.new_zeros(b * c, bins, h, w)
    spread.scatter_(1, bin_of.reshape(b * c, 1, h, w), votes.reshape(b * c, 1, h, w))
    return F.avg_pool2d(spread, cell, divisor_override=1).unflatten(0, (b, c)).permute(0, 3, 4, 1, 2)


def _pool(histogram: Float[Tensor, "b r s c bins"], factor: int) -> Float[Tensor, "b rows columns c bins"]:
    """Histograms of squares of cells."""
    rows, columns = (side // factor for side in histogram.shape[1:3])
    return histogram.unflatten(2, (columns, factor)).unflatten(1, (rows, factor)).sum((2, 4))
