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
    ) -> Mask:
        """Draws a mask for `batch` images; the generator must live on `device`."""
        return self.from_keys(torch.randint(2**63 - 1, (batch,), device=device, generator=generator), grid)

    def from_keys(self, keys: Int64[Tensor, " b"], grid: Grid) -> Mask:
        """The masks determined by random keys, one per image; a shared mask is determined by the first key."""
        visible = self.num_visible(grid)
        order = self.order(keys[:1] if self.shared else keys, grid)
        hidden = (order >= visible).reshape(-1, *grid).expand(len(keys), -1, -1)
        return Mask(hidden, visible, self.shared)

    @abstractmethod
    def order(self, keys: Int64[Tensor, " b"], grid: Grid) -> Int[Tensor, "b n"]:
        """Rank of every cell, on the keys' device; the cells with the lowest ranks stay visible.

        The ranks of an image depend only on its key, not on the device.
        """
