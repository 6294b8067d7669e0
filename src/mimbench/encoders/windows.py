"""Plans of what visible tokens do in a stage of windows: where they are, whom they attend to, how they merge."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from mimbench.core import Grid

_HIDDEN = -1


@dataclass(frozen=True)
class Packing:
    """Window attention as attention inside g groups of s slots, several sparse windows to a group.

    Attributes:
        gather: Token in every slot; the number of tokens stands for a blank one.
        scatter: Slot of every token in the flattened groups.
        together: Whether the first slot attends to the second.
        pair: Row of the relative-position table for two slots; 0 where they do not attend.
    """

    gather: Int[Tensor, "g s"]
    scatter: Int[Tensor, "v"]
    together: Bool[Tensor, "g s s"]
    pair: Int[Tensor, "g s s"]

    def to(self, device: torch.device | str) -> "Packing":
        """The same plan on another device."""
        parts = (self.gather, self.scatter, self.together, self.pair)
        return Packing(*(part.to(device, non_blocking=True) for part in parts))


@dataclass(frozen=True)
class Stage:
    """The visible tokens of one stage.

    Attributes:
        index: Raster position of every token on the stage's grid.
        packings: How they attend, by window and shift.
        children: The four tokens of the finer stage that merge into each; None in the first stage.
    """

    index: Int[Tensor, "v"]
    packings: dict[tuple[Grid, Grid], Packing]
    children: Int[Tensor, "v 4"] | None

    def to(self, device: torch.device | str) -> "Stage":
        """The same plan on another device."""
        children = None if self.children is None else self.children.to(device, non_blocking=True)
        packings = {key: packing.to(device) for key, packing in self.packings.items()}
        return Stage(self.index.to(device, non_blocking=True), packings, children)


def visible_places(
    visible: Bool[Tensor, "h w"], grid: Grid, by_cell: bool = False
) -> tuple[Int[Tensor, "v"], Int[Tensor, "v"]]:
    """Places of the tokens in the cells of a mask that are visible, and their raster positions.

    Both are the same, and ascend, unless tokens are numbered by mask cell, raster within: then `places` are these
    numbers. LocalMIM's released code mistakes them for raster positions.
    """
    cell = grid[0] // visible.shape[0], grid[1] // visible.shape[1]
    raster = torch.arange(grid[0] * grid[1]).reshape(grid)
    order = _cut(raster, cell).flatten() if by_cell else raster.flatten()
    fine = visible.repeat_interleave(cell[0], 0).repeat_interleave(cell[1], 1)
    places = fine.flatten()[order].nonzero().squeeze(1)
    return places, order[places]


def plan_stage(
    places: Int[Tensor, "v"],
    index: Int[Tensor, "v"],
    grid: Grid,
    windows: Iterable[tuple[Grid, Grid]],
    finer: tuple[Int[Tensor, "u"], Grid] | None,
    row_first: bool,
) -> Stage:
    """Plans a stage.

    Args:
        places: Where windows take the tokens to be.
        index: Where they are.
        windows: Window and shift of every block.
        finer: Raster positions and grid of the stage before, if any.
        row_first: Whether merging concatenates 2x2 neighbours row by row, not column by column as Swin does.
    """
    packings = {key: pack_windows(places, grid, *key) for key in dict.fromkeys(windows)}
    return Stage(index, packings, None if finer is None else merge_plan(index, *finer, row_first))


def merge_plan(
    index: Int[Tensor, "v"], finer_index: Int[Tensor, "u"], finer_grid: Grid, row_first: bool
) -> Int[Tensor, "v 4"]:
    """The tokens of the finer grid under every token of a grid of half the size."""
    columns = finer_grid[1]
    token = torch.full((finer_grid[0] * columns,), _HIDDEN)
    token[finer_index] = torch.arange(len(finer_index))
    corner = 2 * (index // (columns // 2)) * columns + 2 * (index % (columns // 2))
    steps = [0, 1, columns, columns + 1] if row_first else [0, columns, 1, columns + 1]
    return token[corner[:, None] + torch.tensor(steps)]


def pack_windows(places: Int[Tensor, "v"], grid: Grid, window: Grid, shift: Grid) -> Packing:
    """Plans attention among the tokens at raster `places` of a grid, inside shifted windows.

    Equal to timm's dense Swin with all other places masked out: a grid that windows do not divide is padded, and the
    blank tokens of the padding are attended to; tokens that the cyclic shift brings together do not attend.
    """
    seats, regions = seat_plan(places, grid, window, shift)
    filled = (seats >= 0) & (seats.masked_fill(seats == len(places), _HIDDEN) >= 0).any(1, keepdim=True)
    group, offset = first_fit(filled.sum(1).tolist())
    row, local = filled.nonzero().unbind(1)
    at = torch.tensor(group)[row], torch.tensor(offset)[row] + filled.cumsum(1)[filled] - 1
    shape = max(group) + 1, int(at[1].max()) + 1
    gather, inside, label = (torch.full(shape, blank) for blank in (len(places), 0, _HIDDEN))
    gather[at], inside[at], label[at] = seats[filled], local, 9 * row + regions[filled]
    scatter = torch.empty(len(places) + 1, dtype=torch.long)
    scatter[gather.flatten()] = torch.arange(gather.numel())
    together = (label[:, :, None] == label[:, None]) & (label >= 0)[:, :, None]
    # An empty slot attends to itself, so that no softmax is over nothing.
    itself = torch.eye(shape[1], dtype=torch.bool)
    return Packing(gather, scatter[:-1], together | itself, _pairs(inside, window).where(together, 0))


def seat_plan(
    places: Int[Tensor, "v"], grid: Grid, window: Grid, shift: Grid
) -> tuple[Int[Tensor, "w a"], Int[Tensor, "w a"]]:
    """Token and region at every place of every window, after the cyclic shift and the padding.

    A seat holds the number of a token, the number of tokens in the padding, or -1 where the image is hidden.
    Tokens of one window attend to each other only within a region, of which there are nine.
    """
    padded = [-(-side // w) * w for side, w in zip(grid, window, strict=True)]
    seats = torch.full(padded, len(places))
    seats[: grid[0], : grid[1]] = _HIDDEN
    row, column = places // grid[1], places % grid[1]
    seats[(row - shift[0]) % grid[0], (column - shift[1]) % grid[1]] = torch.arange(len(places))
    down, right = (_regions(*axis) for axis in zip(padded, window, shift, strict=True))
    regions = 3 * down[:, None] + right
    return _cut(seats, window), _cut(regions, window)


def first_fit(sizes: Sequence[int]) -> tuple[list[int], list[int]]:
    """Packs items into bins as large as the largest item: largest first, each into the first bin with room.

    Returns:
        The bin of every item, and where in its bin it starts; empty items take no room.
    """
    taken: list[int] = []
    bins, offsets = [0] * len(sizes), [0] * len(sizes)
    for item in sorted((i for i, size in enumerate(sizes) if size), key=lambda i: -sizes[i]):
        fits = next((b for b, used in enumerate(taken) if used + sizes[item] <= max(sizes)), len(taken))
        if fits == len(taken):
            taken.append(0)
        bins[item], offsets[item] = fits, taken[fits]
        taken[fits] += sizes[item]
    return bins, offsets


def _regions(side: int, window: int, shift: int) -> Int[Tensor, "side"]:
    place = torch.arange(side)
    return (place >= side - window).long() + (place >= side - shift) if shift else torch.zeros_like(place)


def _cut(plane: Int[Tensor, "h w"], window: Grid) -> Int[Tensor, "n a"]:
    return plane.unfold(0, window[0], window[0]).unfold(1, window[1], window[1]).flatten(0, 1).flatten(1)


def _pairs(inside: Int[Tensor, "g s"], window: Grid) -> Int[Tensor, "g s s"]:
    rows, columns = (axis[:, :, None] - axis[:, None] for axis in (inside // window[1], inside % window[1]))
    return (rows + window[0] - 1) * (2 * window[1] - 1) + columns + window[1] - 1
