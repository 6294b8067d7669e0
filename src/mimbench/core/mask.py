"""Which cells of an image grid the encoder may not see."""

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
        hidden: True where the encoder is blind.
        num_visible: Visible cells per image, the same for all; an int, so that no device sync is needed.
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
        """Raster positions of the hidden cells of an equal or finer grid, one coarse cell after the other.

        Raises:
            ValueError: The grid does not divide this mask's cells.
        """
        (h, w), units = self.hidden.shape[1:], self._order[:, self.num_visible :]
        scale = grid[0] // h
        if grid != (h * scale, w * scale):
            raise ValueError(f"A {grid[0]}x{grid[1]} grid does not divide the cells of a {h}x{w} mask.")
        if scale == 1:
            return units
        within = torch.arange(scale, device=units.device)
        corner = (units // w) * scale * grid[1] + (units % w) * scale
        return (corner[:, :, None] + (within[:, None] * grid[1] + within).flatten()).flatten(1)

    @cached_property
    def _order(self) -> Int[Tensor, "b n"]:
        return self.hidden.flatten(1).byte().argsort(dim=1, stable=True)

    def weights(self, grid: Grid) -> Float[Tensor, "b n"]:
        """Hidden fraction of every cell of another grid over the same image.

        A finer cell inherits from the cell it lies in, a coarser one takes the mean of those it covers.
        """
        return F.adaptive_avg_pool2d(self.hidden[:, None].float(), grid).flatten(1)
