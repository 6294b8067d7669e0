"""The contract every masker keeps."""

from abc import ABC, abstractmethod

import torch

from mimbench.core import Grid, Mask


class Masker(ABC):
    """Draws which cells of a grid to hide, the same number for every image.

    Args:
        ratio: Fraction of cells to hide, between 0 and 1, both excluded.
        shared: Whether to hide the same cells in all images of a batch (Swin needs it).

    Raises:
        ValueError: The ratio is not between 0 and 1.
    """

    def __init__(self, ratio: float = 0.75, shared: bool = False):
        if not 0 < ratio < 1:
            raise ValueError(f"The mask ratio must lie between 0 and 1, both excluded, got {ratio}; 0.75 is usual.")
        self.ratio = ratio
        self.shared = shared

    def num_visible(self, grid: Grid) -> int:
        """Cells that stay visible: int(n (1 - ratio)), as in MAE's released code.

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
    ) -> Mask:
        """Draws a mask for `batch` images; the generator must live on `device`."""
        visible = self.num_visible(grid)
        order = self.order(1 if self.shared else batch, grid, torch.device(device), generator)
        hidden = (order >= visible).reshape(-1, *grid).expand(batch, -1, -1)
        return Mask(hidden, visible, self.shared)

    @abstractmethod
    def order(self, batch: int, grid: Grid, device: torch.device, generator: torch.Generator | None) -> torch.Tensor:
        """Rank of every cell, "b n"; the cells of the lowest ranks stay visible."""
