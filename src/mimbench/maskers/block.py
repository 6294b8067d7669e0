"""Masks of connected rectangles."""

import math

import torch
from jaxtyping import Int64
from torch import Tensor

from mimbench.core import Grid, integers
from mimbench.maskers.base import Masker


class BlockMasker(Masker):
    """Hides rectangles until the ratio is met (BEiT, Algorithm 1; MAE, Table 1f).

    Args:
        min_cells: Cells of the smallest rectangle.
        aspect: Smallest ratio of sides; its inverse is the largest.
    """

    def __init__(self, ratio: float = 0.75, shared: bool = False, min_cells: int = 4, aspect: float = 0.3):
        super().__init__(ratio, shared)
        self.min_cells = min_cells
        self.aspect = aspect

    def order(self, keys: Int64[Tensor, " b"], grid: Grid) -> Int64[Tensor, "b n"]:
        num_hidden = grid[0] * grid[1] - self.num_visible(grid)
        # The loop is sequential: it runs on the CPU, an image at a time.
        # Tensors without values, by which costs are measured, get any mask.
        seeds = [0] * len(keys) if keys.is_meta else integers(keys, 1).flatten().tolist()
        ranks = [self._one(grid, num_hidden, torch.Generator().manual_seed(seed)) for seed in seeds]
        return torch.stack(ranks).to(keys.device)

    def _one(self, grid: Grid, num_hidden: int, generator: torch.Generator) -> Int64[Tensor, " n"]:
        covered_at = torch.full(grid, -1.0)  # the round in which a cell was covered; -1 is visible
        turn = 0
        while (remaining := num_hidden - int((covered_at >= 0).sum())) > 0:
            turn += 1
            top, left, height, width = self._rectangle(grid, remaining, generator)
            area = covered_at[top : top + height, left : left + width]
            area[area < 0] = turn
        # The last rectangle may have covered too much: of its cells a random part becomes visible again.
        lottery = torch.rand(grid, generator=generator)
        return torch.where(covered_at == turn, lottery, covered_at).flatten().argsort(stable=True).argsort()

    def _rectangle(self, grid: Grid, remaining: int, generator: torch.Generator) -> tuple[int, int, int, int]:
        area, shape, row, column = torch.rand(4, generator=generator).tolist()
        cells = self.min_cells + area * (max(remaining, self.min_cells) - self.min_cells)
        bound = math.log(self.aspect)
        aspect = math.exp(bound - 2 * bound * shape)
        height = min(grid[0], max(1, round(math.sqrt(cells * aspect))))
        width = min(grid[1], max(1, round(math.sqrt(cells / aspect))))
        return int(row * (grid[0] - height + 1)), int(column * (grid[1] - width + 1)), height, width
