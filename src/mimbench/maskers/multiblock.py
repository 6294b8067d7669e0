"""Blocks to predict, and contexts to predict them from."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Int, Int64
from torch import Tensor

from mimbench.core import Grid, Regions, integers, mix
from mimbench.maskers.base import Masker

Range = tuple[float, float]
# Attempts to find places that leave enough context; the patches of the last one are completed.
_ATTEMPTS = 8
_UNIT = 2.0**-63
# The released code draws a context anew that often before one target block less is taken from it.
_RELEASED_TRIES = 20


class MultiBlockMasker(Masker):
    """Draws several target blocks per image, and a context block without their patches (I-JEPA, section 3).

    One size of target blocks and one of context blocks is drawn per optimizer step; places are drawn per image. All
    contexts have the same number of patches, whatever else is in the batch: an image whose context is too small is
    drawn again, and patches that are too many are left out at random.

    Args:
        num_targets: Target blocks per image.
        num_contexts: Contexts per image; every target block is predicted from each.
        target_scale: Smallest and largest area of a target block, in parts of the image.
        target_aspect: Smallest and largest ratio of its height to its width.
        context_scale: Smallest and largest area of a context block, which is square.
        context_ratio: Patches of a context in parts of the image. By default 0.3, about the mean of the released code
            with 128 images per device.
        min_keep: The released code's smallest number of patches, exclusive; used with `released_quirks` alone.
        allow_overlap: Whether contexts keep the patches of target blocks.
        released_quirks: Whether to draw as the released code does: blocks never reach the last row and column, and the
            contexts of the images on a device are cut to the shortest of them, from the bottom. Regions then depend on
            the batch and on the number of devices.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(
        self,
        num_targets: int = 4,
        num_contexts: int = 1,
        target_scale: Sequence[float] = (0.15, 0.2),
        target_aspect: Sequence[float] = (0.75, 1.5),
        context_scale: Sequence[float] = (0.85, 1.0),
        context_ratio: float = 0.3,
        min_keep: int = 10,
        allow_overlap: bool = False,
        released_quirks: bool = False,
    ):
        for name, count in {"num_targets": num_targets, "num_contexts": num_contexts, "min_keep": min_keep}.items():
            if type(count) is not int or count < (name != "min_keep"):
                raise ValueError(f"masker.{name} is {count!r}; it must be a positive whole number.")
        given = {"target_scale": target_scale, "target_aspect": target_aspect, "context_scale": context_scale}
        if wrong := [name for name, two in given.items() if isinstance(two, float | int | str) or len(two) != 2]:
            raise ValueError(f"masker.{wrong[0]} is {given[wrong[0]]!r}; it must be two numbers, such as [0.15, 0.2].")
        ranges = {name: (float(two[0]), float(two[1])) for name, two in given.items()}
        for name, (low, high) in ranges.items():
            if not 0 < low <= high or ("scale" in name and high > 1):
                raise ValueError(f"masker.{name} is [{low}, {high}]; it must ascend, above 0; a scale ends at 1.")
        if not 0 < context_ratio < 1:
            raise ValueError(f"masker.context_ratio is {context_ratio}; it must lie between 0 and 1, both excluded.")
        super().__init__(1 - context_ratio)
        self.num_targets, self.num_contexts = num_targets, num_contexts
        self.target_scale, self.target_aspect, self.context_scale = ranges.values()
        self.context_ratio, self.min_keep = context_ratio, min_keep
        self.allow_overlap, self.released_quirks = allow_overlap, released_quirks

    def sizes(self, grid: Grid, uniform: Range) -> tuple[Grid, Grid]:
        """Height and width of target and context blocks for a uniform number each."""
        largest = (grid[0] - 1, grid[1] - 1) if self.released_quirks else grid
        target = block_size(grid, uniform[0], self.target_scale, self.target_aspect, largest)
        return target, block_size(grid, uniform[1], self.context_scale, (1.0, 1.0), largest)

    def check(self, grid: Grid) -> None:
        """Checks that every size of blocks leaves enough context.

        Raises:
            ValueError: One does not; the released code would not end.
        """
        steps = [step / 100 for step in range(101)]
        targets = [self.sizes(grid, (u, 0.0))[0] for u in steps]
        contexts = [self.sizes(grid, (0.0, u))[1] for u in steps]
        areas = sorted(h * w for h, w in targets)
        context = min(h * w for h, w in contexts)
        where = f"on a grid of {grid[0]}x{grid[1]} patches"
        remedy = "use smaller patches or larger images, or reduce masker."
        if self.released_quirks:
            if areas[0] <= self.min_keep or context <= self.min_keep:
                raise ValueError(
                    f"Blocks of {min(areas[0], context)} patches {where} never have more than "
                    f"masker.min_keep={self.min_keep}; {remedy}min_keep."
                )
            return
        keep = self.num_kept(grid)
        if context - (0 if self.allow_overlap else areas[-1]) < keep:
            raise ValueError(
                f"A target block of {areas[-1]} patches {where} cannot leave {keep} patches of a context block of "
                f"{context}; {remedy}target_scale or masker.context_ratio."
            )

    def num_kept(self, grid: Grid) -> int:
        """Patches of a context."""
        return max(1, int(grid[0] * grid[1] * self.context_ratio))

    def __call__(
        self,
        batch: int,
        grid: Grid,
        device: torch.device | str = "cpu",
        generator: torch.Generator | None = None,
        predicted_ratio: float | None = None,
    ) -> Any:
        """Draws regions for `batch` images."""
        keys = torch.randint(2**63 - 1, (batch,), device=device, generator=generator)
        step_key = int(torch.randint(2**31, (1,), generator=generator, device=getattr(generator, "device", "cpu")))
        return self.from_keys(keys, grid, step_key=step_key)

    def order(self, keys: Int64[Tensor, " b"], grid: Grid) -> Int[Tensor, "b n"]:
        """Raises ValueError: there are regions, and no order of cells."""
        raise ValueError("Regions have no order of cells; use from_keys.")

    def from_keys(
        self, keys: Int64[Tensor, " b"], grid: Grid, predicted_ratio: float | None = None, step_key: int = 0
    ) -> Any:
        """The regions determined by one key per image, and one per step for the sizes of the blocks."""
        uniform = (mix(step_key, 0) / 2**64, mix(step_key, 1) / 2**64)
        if self.released_quirks:
            return self._released(keys, grid, uniform)
        (h, w), context = self.sizes(grid, uniform)
        places = self._uniform(keys, (self.num_targets + self.num_contexts) * 2 * _ATTEMPTS)
        places = places.unflatten(1, (_ATTEMPTS, self.num_targets + self.num_contexts, 2))
        noise = self._uniform(keys ^ (mix(step_key, 2) >> 1), self.num_contexts * grid[0] * grid[1])
        corner = (places[:, :, : self.num_targets] * _room(grid, (h, w), keys.device)).long()
        blocks = _blocks(corner, (h, w), grid)
        covered = blocks.any(2)
        corner_c = (places[:, :, self.num_targets :] * _room(grid, context, keys.device)).long()
        around = _blocks(corner_c, context, grid)
        free = around if self.allow_overlap else around & ~covered[:, :, None]
        enough = (free.sum(-1) >= self.num_kept(grid)).all(2)
        # The first attempt with enough context, else the first.
        chosen = enough.byte().argmax(1)
        image = torch.arange(len(keys), device=keys.device)
        free, around, corner = free[image, chosen], around[image, chosen], corner[image, chosen]
        priority = noise.unflatten(1, (self.num_contexts, -1)) + 2 * (~around) + 1 * (~free)
        contexts = priority.argsort(2)[:, :, : self.num_kept(grid)].sort(2).values
        return Regions(contexts.transpose(0, 1), _raster(corner, (h, w), grid).transpose(0, 1), grid)

    def _uniform(self, keys: Int64[Tensor, " b"], count: int) -> Tensor:
        return (integers(keys, count).double() * _UNIT).clamp(max=1 - 1e-12)

    def _released(self, keys: Int64[Tensor, " b"], grid: Grid, uniform: Range) -> Regions:
        # Meta tensors, used to measure costs, have no values and get arbitrary regions.
        seeds = [0] * len(keys) if keys.is_meta else integers(keys, 1).flatten().tolist()
        draws = [torch.Generator().manual_seed(seed) for seed in seeds]

        def place(image: int, room: int) -> int:
            return int(torch.randint(0, room, (1,), generator=draws[image]))

        regions = self.released(len(keys), grid, uniform, place)
        return Regions(regions.contexts.to(keys.device), regions.targets.to(keys.device), grid)

    def released(self, batch: int, grid: Grid, uniform: Range, place: Callable[[int, int], int]) -> Regions:
        """Regions as in the released code.

        Args:
            uniform: Numbers that determine the sizes of target and context blocks.
            place: A random number below a number, for an image.
        """
        size, context = self.sizes(grid, uniform)
        targets, contexts = list[list[Tensor]](), list[list[Tensor]]()
        for image in range(batch):

            def corner(block: Grid, image: int = image) -> tuple[int, int]:
                return place(image, grid[0] - block[0]), place(image, grid[1] - block[1])

            blocks = [_plane(corner(size), size, grid) for _ in range(self.num_targets)]
            targets.append([block.flatten().nonzero().flatten() for block in blocks])
            taken = [] if self.allow_overlap else blocks
            contexts.append([self._released_context(taken, context, grid, corner) for _ in range(self.num_contexts)])
        shortest = min(len(one) for image in contexts for one in image)
        stacked = torch.stack([torch.stack([one[:shortest] for one in image]) for image in contexts])
        return Regions(stacked.transpose(0, 1), torch.stack([torch.stack(image) for image in targets], 1), grid)

    def _released_context(
        self, blocks: list[Tensor], size: Grid, grid: Grid, corner: Callable[[Grid], tuple[int, int]]
    ) -> Int[Tensor, " n"]:
        tries = 0
        while True:
            plane = _plane(corner(size), size, grid)
            for block in blocks[: max(0, len(blocks) - tries // _RELEASED_TRIES)]:
                plane &= ~block
            if plane.sum() > self.min_keep:
                return plane.flatten().nonzero().flatten()
            tries += 1


def block_size(grid: Grid, uniform: float, scale: Range, aspect: Range, largest: Grid) -> Grid:
    """Height and width of a block: one number gives both its area and its aspect ratio, as in the released code."""
    area = int(grid[0] * grid[1] * (scale[0] + uniform * (scale[1] - scale[0])))
    ratio = aspect[0] + uniform * (aspect[1] - aspect[0])
    sides = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
    return max(1, min(sides[0], largest[0])), max(1, min(sides[1], largest[1]))


def _room(grid: Grid, block: Grid, device: torch.device) -> Tensor:
    # Filled on the device: a copy from the host would wait for it.
    rows, columns = (
        torch.full((1,), g - b + 1, dtype=torch.float64, device=device) for g, b in zip(grid, block, strict=True)
    )
    return torch.cat([rows, columns])


def _blocks(corner: Int[Tensor, "b t k 2"], block: Grid, grid: Grid) -> Bool[Tensor, "b t k n"]:
    row, column = (torch.arange(side, device=corner.device) for side in grid)
    top, left = corner[..., :1], corner[..., 1:]
    rows, columns = (row >= top) & (row < top + block[0]), (column >= left) & (column < left + block[1])
    return (rows[..., :, None] & columns[..., None, :]).flatten(-2)


def _raster(corner: Int[Tensor, "b k 2"], block: Grid, grid: Grid) -> Int[Tensor, "b k m"]:
    rows, columns = (torch.arange(side, device=corner.device) for side in block)
    within = (rows[:, None] * grid[1] + columns).flatten()
    return (corner[..., :1] * grid[1] + corner[..., 1:]) + within


def _plane(corner: tuple[int, int], block: Grid, grid: Grid) -> Bool[Tensor, "h w"]:
    plane = torch.zeros(grid, dtype=torch.bool)
    plane[corner[0] : corner[0] + block[0], corner[1] : corner[1] + block[1]] = True
    return plane
