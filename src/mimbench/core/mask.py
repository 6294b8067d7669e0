"""Masks: which cells of an image grid are hidden from the encoder, and which of these are predicted."""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

Grid = tuple[int, int]


@dataclass(frozen=True)
class Mask:
    """Hidden cells of a grid laid over the image.

    Attributes:
        hidden: True for the cells that the encoder does not see.
        num_visible: Visible cells per image, equal for all images; an int, so that reading it needs no device sync.
        shared: Whether all images of the batch hide the same cells.
        ignored: True for hidden cells that are not predicted either; None if all hidden cells are predicted.
        num_ignored: Ignored cells per image, equal for all images.

    Example:
        >>> mask = Mask(torch.tensor([[[True, False], [True, True]]]), num_visible=1)
        >>> mask.visible.tolist(), mask.cells((2, 2)).tolist()
        ([[1]], [[0, 2, 3]])
    """

    hidden: Bool[Tensor, "b h w"]
    num_visible: int
    shared: bool = False
    ignored: Bool[Tensor, "b h w"] | None = None
    num_ignored: int = 0

    @cached_property
    def visible(self) -> Int[Tensor, "b v"]:
        """Raster positions of the visible cells, ascending."""
        return self._order[:, : self.num_visible]

    def cells(self, grid: Grid) -> Int[Tensor, "b m"]:
        """Raster positions of the predicted cells on an equal or finer grid, grouped by cell of the mask.

        Raises:
            ValueError: The grid is not a multiple of the mask's grid.
        """
        (h, w), coarse = self.hidden.shape[1:], self._order[:, self.num_visible + self.num_ignored :]
        scale = grid[0] // h
        if grid != (h * scale, w * scale):
            raise ValueError(f"The grid must be a multiple of the mask's {h}x{w} cells, got {grid[0]}x{grid[1]}.")
        if scale == 1:
            return coarse
        within = torch.arange(scale, device=coarse.device)
        corner = (coarse // w) * scale * grid[1] + (coarse % w) * scale
        return (corner[:, :, None] + (within[:, None] * grid[1] + within).flatten()).flatten(1)

    @cached_property
    def _order(self) -> Int[Tensor, "b n"]:
        """Raster positions of the visible cells, the ignored ones and the predicted ones, each ascending."""
        rank = self.hidden.byte() if self.ignored is None else 2 * self.hidden.byte() - self.ignored.byte()
        return rank.flatten(1).argsort(dim=1, stable=True)

    def weights(self, grid: Grid) -> Float[Tensor, "b n"]:
        """Predicted fraction of every cell of another grid over the same image, in raster order: weights of the loss.

        A finer cell takes the value of the cell that contains it, a coarser one the mean over the cells it covers.
        """
        return _fraction(self.hidden if self.ignored is None else self.hidden & ~self.ignored, grid)

    def hides(self, grid: Grid) -> Bool[Tensor, "b n"]:
        """Whether any part of every cell of another grid is hidden, in raster order."""
        return _fraction(self.hidden, grid) > 0


def _fraction(cells: Bool[Tensor, "b h w"], grid: Grid) -> Float[Tensor, "b n"]:
    return F.adaptive_avg_pool2d(cells[:, None].float(), grid).flatten(1)
