"""Plans for the visible tokens of a Swin stage: positions, attention inside windows, and patch merging."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from mimbench.core import Grid

_HIDDEN = -1


@dataclass(frozen=True)
class Packing:
    """Window attention as attention inside g groups of s slots; a group holds several sparse windows.

    Attributes:
        gather: Token in every slot; the number of tokens v stands for padding.
        scatter: Slot of every token in the flattened groups.
        may_attend: Whether the first slot attends to the second.
        bias_index: Row of the relative-position bias table for two slots; 0 where they do not attend.
    """

    gather: Int[Tensor, "g s"]
    scatter: Int[Tensor, "v"]
    may_attend: Bool[Tensor, "g s s"]
    bias_index: Int[Tensor, "g s s"]

    def to(self, device: torch.device | str) -> "Packing":
        """The same plan on another device."""
        parts = (self.gather, self.scatter, self.may_attend, self.bias_index)
        return Packing(*(part.to(device, non_blocking=True) for part in parts))


@dataclass(frozen=True)
class Stage:
    """The visible tokens of one stage.

    Attributes:
        index: Raster position of every token on the stage's grid.
        packings: Attention plans by window and shift.
        children: The four tokens of the previous stage that merge into each token; None in the first stage.
    """

    index: Int[Tensor, "v"]
    packings: dict[tuple[Grid, Grid], Packing]
    children: Int[Tensor, "v 4"] | None

    def to(self, device: torch.device | str) -> "Stage":
        """The same plan on another device."""
        children = None if self.children is None else self.children.to(device, non_blocking=True)
        packings = {key: packing.to(device) for key, packing in self.packings.items()}
        return Stage(self.index.to(device, non_blocking=True), packings, children)


def visible_index(
    visible: Bool[Tensor, "h w"], grid: Grid, by_cell: bool = False
) -> tuple[Int[Tensor, "v"], Int[Tensor, "v"]]:
    """Positions of the visible tokens: those that window attention uses, and the true raster positions.

    By default both are the same and ascend.

    Args:
        visible: Visible cells of the mask.
        grid: The stage's grid, a multiple of the mask's.
        by_cell: Whether tokens are ordered by mask cell, in raster order within a cell. The first result then holds
            positions in this order, which LocalMIM's released code takes for raster positions.
    """
    cell = grid[0] // visible.shape[0], grid[1] // visible.shape[1]
    raster = torch.arange(grid[0] * grid[1]).reshape(grid)
    order = _partition(raster, cell).flatten() if by_cell else raster.flatten()
    fine = visible.repeat_interleave(cell[0], 0).repeat_interleave(cell[1], 1)
    window_index = fine.flatten()[order].nonzero().squeeze(1)
    return window_index, order[window_index]


def plan_stage(
    window_index: Int[Tensor, "v"],
    index: Int[Tensor, "v"],
    grid: Grid,
    windows: Iterable[tuple[Grid, Grid]],
    finer: tuple[Int[Tensor, "u"], Grid] | None,
    row_first: bool,
) -> Stage:
    """Plans a stage.

    Args:
        window_index: Raster positions by which tokens are assigned to windows.
        index: True raster positions of the tokens.
        windows: Window and shift of every block.
        finer: Raster positions and grid of the previous stage, if any.
        row_first: Whether merging concatenates 2x2 neighbors row by row instead of column by column, as Swin does.
    """
    packings = {key: pack_windows(window_index, grid, *key) for key in dict.fromkeys(windows)}
    return Stage(index, packings, None if finer is None else merge_plan(index, *finer, row_first))


def merge_plan(
    index: Int[Tensor, "v"], finer_index: Int[Tensor, "u"], finer_grid: Grid, row_first: bool
) -> Int[Tensor, "v 4"]:
    """The four tokens of the finer grid that every token of a grid of half the size covers."""
    columns = finer_grid[1]
    token = torch.full((finer_grid[0] * columns,), _HIDDEN)
    token[finer_index] = torch.arange(len(finer_index))
    corner = 2 * (index // (columns // 2)) * columns + 2 * (index % (columns // 2))
    steps = [0, 1, columns, columns + 1] if row_first else [0, columns, 1, columns + 1]
    return token[corner[:, None] + torch.tensor(steps)]


def pack_windows(index: Int[Tensor, "v"], grid: Grid, window: Grid, shift: Grid) -> Packing:
    """Plans attention inside shifted windows among the tokens at raster positions `index` of a grid.

    Equals timm's dense Swin with all other tokens masked out: a grid that the windows do not divide is padded, and
    tokens attend to the padding; tokens that are adjacent only because of the cyclic shift do not attend to each other.
    """
    tokens, regions = arrange_windows(index, grid, window, shift)
    filled = (tokens >= 0) & (tokens.masked_fill(tokens == len(index), _HIDDEN) >= 0).any(1, keepdim=True)
    group, offset = first_fit(filled.sum(1).tolist())
    row, local = filled.nonzero().unbind(1)
    slot = torch.tensor(group)[row], torch.tensor(offset)[row] + filled.cumsum(1)[filled] - 1
    shape = max(group) + 1, int(slot[1].max()) + 1
    gather, within, label = (torch.full(shape, value) for value in (len(index), 0, _HIDDEN))
    gather[slot], within[slot], label[slot] = tokens[filled], local, 9 * row + regions[filled]
    scatter = torch.empty(len(index) + 1, dtype=torch.long)
    scatter[gather.flatten()] = torch.arange(gather.numel())
    may_attend = (label[:, :, None] == label[:, None]) & (label >= 0)[:, :, None]
    # An empty slot attends to itself; a softmax over no slots would give NaN.
    itself = torch.eye(shape[1], dtype=torch.bool)
    return Packing(gather, scatter[:-1], may_attend | itself, _bias_index(within, window).where(may_attend, 0))


def arrange_windows(
    index: Int[Tensor, "v"], grid: Grid, window: Grid, shift: Grid
) -> tuple[Int[Tensor, "w a"], Int[Tensor, "w a"]]:
    """Token and region at every position of every window, after the cyclic shift and the padding.

    A token is given by its number; padding has the number of tokens v, and hidden positions have -1. Tokens of a
    window attend to each other only within a region; a grid has nine regions.
    """
    padded = [-(-side // w) * w for side, w in zip(grid, window, strict=True)]
    tokens = torch.full(padded, len(index))
    tokens[: grid[0], : grid[1]] = _HIDDEN
    row, column = index // grid[1], index % grid[1]
    tokens[(row - shift[0]) % grid[0], (column - shift[1]) % grid[1]] = torch.arange(len(index))
    down, right = (_regions(*axis) for axis in zip(padded, window, shift, strict=True))
    regions = 3 * down[:, None] + right
    return _partition(tokens, window), _partition(regions, window)


def first_fit(sizes: Sequence[int]) -> tuple[list[int], list[int]]:
    """First-fit decreasing bin packing; the capacity is the size of the largest item.

    Returns:
        The bin of every item, and its offset in the bin; items of size 0 take no space.
    """
    filled: list[int] = []
    bins, offsets = [0] * len(sizes), [0] * len(sizes)
    for item in sorted((i for i, size in enumerate(sizes) if size), key=lambda i: -sizes[i]):
        fits = next((b for b, used in enumerate(filled) if used + sizes[item] <= max(sizes)), len(filled))
        if fits == len(filled):
            filled.append(0)
        bins[item], offsets[item] = fits, filled[fits]
        filled[fits] += sizes[item]
    return bins, offsets


def _regions(side: int, window: int, shift: int) -> Int[Tensor, "side"]:
    position = torch.arange(side)
    return (position >= side - window).long() + (position >= side - shift) if shift else torch.zeros_like(position)


def _partition(plane: Int[Tensor, "h w"], window: Grid) -> Int[Tensor, "n a"]:
    return plane.unfold(0, window[0], window[0]).unfold(1, window[1], window[1]).flatten(0, 1).flatten(1)


def _bias_index(within: Int[Tensor, "g s"], window: Grid) -> Int[Tensor, "g s s"]:
    rows, columns = (axis[:, :, None] - axis[:, None] for axis in (within // window[1], within % window[1]))
    return (rows + window[0] - 1) * (2 * window[1] - 1) + columns + window[1] - 1
