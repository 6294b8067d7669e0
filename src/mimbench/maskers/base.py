"""Interface of all maskers."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Int, Int64
from torch import Tensor

from mimbench.core import Grid, Mask


class Masker(ABC):
    """Chooses the cells of a grid to hide, the same number for every image.

    Args:
        ratio: Fraction of cells to hide, between 0 and 1, both excluded.
        shared: Whether to hide the same cells in all images of a batch, as Swin requires.

    Raises:
        ValueError: The ratio is not between 0 and 1.
    """

    def __init__(self, ratio: float = 0.75, shared: bool = False):
        if not 0 < ratio < 1:
            raise ValueError(
                f"The mask ratio must lie between 0 and 1, both excluded, got {ratio}; a common value is 0.75."
            )
        self.ratio = ratio
        self.shared = shared

    def num_visible(self, grid: Grid) -> int:
        """Number of visible cells: int(n * (1 - ratio)) of n, as in MAE's released code.

        Raises:
            ValueError: The grid is too small for the ratio.
        """
        cells = grid[0] * grid[1]
        visible = int(cells * (1 - self.ratio))
        if not 0 < visible < cells:
            raise ValueError(
                f"A mask ratio of {self.ratio} leaves {visible} of {cells} cells visible; "
                "use smaller patches or a less extreme ratio."
            )
        return visible

    def __call__(
        self,
        batch: int,
        grid: Grid,
        device: torch.device | str = "cpu",
        generator: torch.Generator | None = None,
        predicted_ratio: float | None = None,
    ) -> Mask:
        """Draws a mask for `batch` images; the generator must live on `device`."""
        keys = torch.randint(2**63 - 1, (batch,), device=device, generator=generator)
        return self.from_keys(keys, grid, predicted_ratio)

    def from_keys(self, keys: Int64[Tensor, " b"], grid: Grid, predicted_ratio: float | None = None) -> Mask:
        """The masks determined by random keys, one per image; a shared mask is determined by the first key.

        Args:
            predicted_ratio: Fraction of all cells that are predicted; by default all hidden ones.
        """
        visible, ignored = self.num_visible(grid), self.num_ignored(grid, predicted_ratio)
        order = self.order(keys[:1] if self.shared else keys, grid)
        order = order.reshape(-1, *grid).expand(len(keys), -1, -1)
        hidden = order >= visible
        return Mask(hidden, visible, self.shared, hidden & (order < visible + ignored) if ignored else None, ignored)

    def num_ignored(self, grid: Grid, predicted_ratio: float | None) -> int:
        """Number of hidden cells that are not predicted: int(n * (ratio - predicted)) of n (CrossMAE, released code).

        Raises:
            ValueError: More cells would be predicted than are hidden, or none.
        """
        if predicted_ratio is None:
            return 0
        cells = grid[0] * grid[1]
        ignored = int(cells * (self.ratio - predicted_ratio))
        if not 0 < predicted_ratio <= self.ratio or ignored >= cells - self.num_visible(grid):
            raise ValueError(
                f"{predicted_ratio} of the cells cannot be predicted while {self.ratio} of {cells} cells are hidden; "
                f"set method.predicted_ratio to a number above 0 and at most {self.ratio}."
            )
        return ignored

    @abstractmethod
    def order(self, keys: Int64[Tensor, " b"], grid: Grid) -> Int[Tensor, "b n"]:
        """Rank of every cell, on the keys' device; the cells with the lowest ranks stay visible.

        The ranks of an image depend only on its key, not on the device.
        """
