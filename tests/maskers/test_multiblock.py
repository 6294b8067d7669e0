"""Contexts and target blocks: independent of the batch, free of each other, and refused where they cannot be."""

from typing import Any

import pytest
import torch

from mimbench.core import Regions
from mimbench.maskers import MultiBlockMasker

GRIDS = [(8, 8), (14, 14), (16, 16), (6, 10)]
KEYS = torch.arange(40) * 977


def as_sets(index: torch.Tensor) -> list[set[int]]:
    return [set(one.tolist()) for one in index]


def test_regions_of_an_image_do_not_depend_on_its_batch():
    masker = MultiBlockMasker()
    batch = masker.from_keys(KEYS, (14, 14), step_key=3)
    for i in range(5):
        one = masker.from_keys(KEYS[i : i + 1], (14, 14), step_key=3)
        assert torch.equal(one.contexts, batch.contexts[:, i : i + 1])
        assert torch.equal(one.targets, batch.targets[:, i : i + 1])


@pytest.mark.parametrize("grid", GRIDS)
def test_contexts_have_one_length_and_no_patch_of_a_target(grid: tuple[int, int]):
    masker = MultiBlockMasker()
    masker.check(grid)
    overlapping = 0
    for step in range(10):
        regions = masker.from_keys(KEYS, grid, step_key=step)
        assert regions.contexts.shape == (1, len(KEYS), int(grid[0] * grid[1] * 0.3))
        assert (regions.contexts.diff(dim=2) > 0).all()
        targets = [as_sets(block) for block in regions.targets]
        for image, context in enumerate(as_sets(regions.contexts[0])):
            assert context <= set(range(grid[0] * grid[1]))
            overlapping += any(block[image] & context for block in targets)
    # Rarely none of eight attempts leaves enough context.
    assert overlapping <= 10 * len(KEYS) // 50


def test_blocks_are_rectangles_that_reach_every_row_and_column():
    regions = [MultiBlockMasker().from_keys(KEYS + 100_003 * step, (14, 14), step_key=step) for step in range(20)]
    seen = torch.zeros(196)
    for one in regions:
        for block in one.targets.flatten(0, 1):
            rows, columns = block // 14, block % 14
            area = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
            assert area == len(block.unique()) == len(block)
            seen[block] += 1
    assert seen.min() > 0
    contexts = torch.cat([one.contexts.flatten() for one in regions]).bincount(minlength=196)
    assert contexts.min() > 0


def test_sizes_change_with_the_step_and_places_with_the_image():
    drawn = [MultiBlockMasker().from_keys(KEYS, (16, 16), step_key=step) for step in range(30)]
    assert len({one.targets.shape[2] for one in drawn}) > 2
    assert len({tuple(places) for places in drawn[0].targets[0].tolist()}) > 10


def test_several_contexts_differ():
    masker = MultiBlockMasker(num_contexts=2, context_scale=(0.5, 0.5), context_ratio=0.1)
    regions = masker.from_keys(KEYS, (14, 14), step_key=0)
    assert regions.contexts.shape[:2] == (2, len(KEYS))
    assert not torch.equal(regions.contexts[0], regions.contexts[1])


def test_masks_hide_everything_but_the_context():
    regions = MultiBlockMasker().from_keys(KEYS, (8, 8), step_key=0)
    [mask] = regions.masks()
    assert torch.equal(mask.visible, regions.contexts[0])
    assert mask.num_visible == 19


def test_released_quirks_cut_contexts_to_the_shortest_from_the_bottom_and_spare_the_last_row():
    masker = MultiBlockMasker(released_quirks=True)
    whole = masker.from_keys(KEYS, (14, 14), step_key=0)
    alone = [masker.from_keys(KEYS[i : i + 1], (14, 14), step_key=0) for i in range(len(KEYS))]
    assert whole.contexts.shape[2] == min(one.contexts.shape[2] for one in alone)
    for i, one in enumerate(alone):
        assert torch.equal(whole.contexts[0, i], one.contexts[0, 0, : whole.contexts.shape[2]])
    for part in (whole.contexts, whole.targets):
        assert (part // 14).max() <= 12
        assert (part % 14).max() <= 12


@pytest.mark.parametrize(
    ("options", "grid", "message"),
    [
        # The released code hangs here: a target block of 8x8 patches has 9 of them at the smallest scale.
        ({"released_quirks": True}, (8, 8), r"never have more than masker\.min_keep=10; .*masker\.min_keep"),
        ({"released_quirks": True}, (6, 6), r"on a grid of 6x6 patches never have more than"),
        ({"target_scale": [0.6, 0.7]}, (8, 8), r"cannot leave 19 patches .*masker\.target_scale or masker\.context"),
    ],
)
def test_blocks_that_cannot_leave_enough_context_are_refused(
    options: dict[str, Any], grid: tuple[int, int], message: str
):
    with pytest.raises(ValueError, match=message):
        MultiBlockMasker(**options).check(grid)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_targets": 0}, r"masker\.num_targets is 0; it must be a positive whole number"),
        ({"target_scale": [0.3, 0.2]}, r"masker\.target_scale is \[0\.3, 0\.2\]; it must ascend"),
        ({"context_scale": [0.3, 1.2]}, "a scale ends at 1"),
        ({"target_aspect": [1.0]}, "must be two numbers"),
        ({"context_ratio": 1.0}, r"masker\.context_ratio is 1\.0; it must lie between 0 and 1"),
    ],
)
def test_values_out_of_range_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        MultiBlockMasker(**options)


@pytest.mark.parametrize("quirks", [False, True])
def test_regions_on_the_meta_device_have_shapes(quirks: bool):
    keys = torch.zeros(2, dtype=torch.long, device="meta")
    regions = MultiBlockMasker(released_quirks=quirks).from_keys(keys, (14, 14), step_key=0)
    assert isinstance(regions, Regions)
    assert regions.contexts.shape[:2] == (1, 2)
