"""Masks: which cells of an image grid are hidden from the encoder."""

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

    Example:
        >>> mask = Mask(torch.tensor([[[True, False], [True, True]]]), num_visible=1)
        >>> mask.visible.tolist(), mask.cells((2, 2)).tolist()
        ([[1]], [[0, 2, 3]])
    """

    hidden: Bool[Tensor, "b h w"]
    num_visible: int
    shared: bool = False

    @cached_property
    def visible(self) -> Int[Tensor, "b v"]:
        """Raster positions of the visible cells, ascending."""
        return self._order[:, : self.num_visible]

    def cells(self, grid: Grid) -> Int[Tensor, "b m"]:
        """Raster positions of the hidden cells on an equal or finer grid, grouped by cell of the mask.

        Raises:
            ValueError: The grid is not a multiple of the mask's grid.
        """
        (h, w), coarse = self.hidden.shape[1:], self._order[:, self.num_visible :]
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
        return self.hidden.flatten(1).byte().argsort(dim=1, stable=True)

    def weights(self, grid: Grid) -> Float[Tensor, "b n"]:
        """Hidden fraction of every cell of another grid over the same image, in raster order.

        A finer cell takes the value of the cell that contains it, a coarser one the mean over the cells it covers.
        """
        return F.adaptive_avg_pool2d(self.hidden[:, None].float(), grid).flatten(1)
