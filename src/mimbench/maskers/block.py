"""Masks made of rectangles."""

import math

import torch
from jaxtyping import Int64
from torch import Tensor

from mimbench.core import Grid, integers
from mimbench.maskers.base import Masker


class BlockMasker(Masker):
    """Hides random rectangles until the ratio is reached (BEiT, Algorithm 1; MAE, Table 1f).

    Args:
        min_cells: Area of the smallest rectangle, in cells.
        aspect: Smallest aspect ratio of a rectangle; the largest is its inverse.
    """

    def __init__(self, ratio: float = 0.75, shared: bool = False, min_cells: int = 4, aspect: float = 0.3):
        super().__init__(ratio, shared)
        self.min_cells = min_cells
        self.aspect = aspect

    def order(self, keys: Int64[Tensor, " b"], grid: Grid) -> Int64[Tensor, "b n"]:
        num_hidden = grid[0] * grid[1] - self.num_visible(grid)
        # The algorithm is sequential, so it runs on the CPU, one image at a time.
        # Meta tensors, used to measure costs, have no values and get an arbitrary mask.
        seeds = [0] * len(keys) if keys.is_meta else integers(keys, 1).flatten().tolist()
        ranks = [self._rank(grid, num_hidden, torch.Generator().manual_seed(seed)) for seed in seeds]
        return torch.stack(ranks).to(keys.device)

    def _rank(self, grid: Grid, num_hidden: int, generator: torch.Generator) -> Int64[Tensor, " n"]:
        hidden_in = torch.full(grid, -1.0)  # number of the rectangle that hid a cell; -1 means visible
        rectangle = 0
        while (remaining := num_hidden - int((hidden_in >= 0).sum())) > 0:
            rectangle += 1
            top, left, height, width = self._rectangle(grid, remaining, generator)
            area = hidden_in[top : top + height, left : left + width]
            area[area < 0] = rectangle
        # The last rectangle may hide too many cells; a random part of them becomes visible again.
        noise = torch.rand(grid, generator=generator)
        return torch.where(hidden_in == rectangle, noise, hidden_in).flatten().argsort(stable=True).argsort()

    def _rectangle(self, grid: Grid, remaining: int, generator: torch.Generator) -> tuple[int, int, int, int]:
        area, shape, row, column = torch.rand(4, generator=generator).tolist()
        cells = self.min_cells + area * (max(remaining, self.min_cells) - self.min_cells)
        bound = math.log(self.aspect)
        aspect = math.exp(bound - 2 * bound * shape)
        height = min(grid[0], max(1, round(math.sqrt(cells * aspect))))
        width = min(grid[1], max(1, round(math.sqrt(cells / aspect))))
        return int(row * (grid[0] - height + 1)), int(column * (grid[1] - width + 1)), height, width
