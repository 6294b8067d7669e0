"""Default depths and cells of the methods, for every depth of an encoder."""

import re
from functools import partial

import pytest
import torch

from mimbench.encoders import vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE, MIRL, DeepMIM, LocalMIM, Method
from mimbench.methods.deepmim import deepmim_depths
from mimbench.methods.localmim import localmim_depths
from mimbench.methods.mirl import mirl_depths
from mimbench.targets import PixelTarget

DEPTHS = range(1, 65)


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(12, (6, 8, 10, 12)), (24, (12, 16, 20, 24)), (4, (2, 3, 4)), (8, (4, 5, 7, 8)), (1, (1,)), (2, (1, 2))],
)
def test_deepmim_reads_half_two_thirds_five_sixths_and_all(depth: int, expected: tuple[int, ...]):
    assert deepmim_depths(depth) == expected


@pytest.mark.parametrize("depth", DEPTHS)
def test_deepmim_supports_every_depth(depth: int):
    depths = deepmim_depths(depth)
    assert depths[-1] == depth
    assert list(depths) == sorted(set(depths))
    assert depths[0] >= max(1, depth // 2)
    assert len(depths) <= 4


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(12, (2, 4, 10, 12)), (24, (2, 4, 22, 24)), (32, (2, 4, 30, 32)), (8, (2, 4, 6, 8)), (4, (1, 2, 3, 4))],
)
def test_localmim_reads_2_4_and_the_last_two_even_ones(depth: int, expected: tuple[int, ...]):
    assert localmim_depths(depth) == expected


@pytest.mark.parametrize("depth", DEPTHS)
def test_localmim_supports_four_units_or_more(depth: int):
    if depth < 4:
        with pytest.raises(ValueError, match=f"the encoder has {depth}; use encoder.depth=4 or more"):
            localmim_depths(depth)
    else:
        depths = localmim_depths(depth)
        assert len(set(depths)) == 4
        assert list(depths) == sorted(depths)
        assert 1 <= depths[0] <= depths[-1] == depth


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        (54, (9, 18, 27, 36, 45, 54)),
        (48, (8, 16, 24, 32, 40, 48)),
        (12, (2, 4, 6, 8, 10, 12)),
        (4, (1, 2, 3, 4)),
        (16, (4, 8, 12, 16)),
        (2, (1, 2)),
        (10, (5, 10)),
    ],
)
def test_mirl_has_six_four_or_two_equal_segments(depth: int, expected: tuple[int, ...]):
    assert mirl_depths(depth) == expected


@pytest.mark.parametrize("depth", DEPTHS)
def test_mirl_supports_every_even_depth(depth: int):
    if depth % 2:
        with pytest.raises(ValueError, match=f"even depth, got {depth}; use encoder.depth={depth + 1}"):
            mirl_depths(depth)
    else:
        depths = mirl_depths(depth)
        lengths = {b - a for a, b in zip((0, *depths), depths, strict=False)}
        assert len(lengths) == 1
        assert depths[-1] == depth
        assert len(depths) % 2 == 0


@pytest.mark.parametrize(("patch", "cells"), [(16, [4, 8, 16, 32]), (8, [2, 4, 8, 16]), (4, [2, 2, 4, 8])])
def test_localmim_cells_are_fractions_of_the_patch_of_at_least_2_px(patch: int, cells: list[int]):
    encoder = vit(64, patch, 16, 4, 2)
    method = LocalMIM(encoder, RandomMasker(), PixelTarget, dim=16, num_heads=2)
    assert [target.cell for target in method.targets] == cells


@pytest.mark.parametrize("depth", range(1, 17))
@pytest.mark.parametrize("method", [MAE, DeepMIM, LocalMIM, MIRL])
def test_methods_support_every_depth_or_suggest_another(method: type[Method], depth: int):
    def compose(blocks: int) -> Method:
        with torch.device("meta"):
            build = partial(method, vit(32, 8, 16, blocks, 2), RandomMasker(), PixelTarget)
            return build(dim=16, num_blocks=1, num_heads=2)

    impossible = (method is LocalMIM and depth < 4) or (method is MIRL and depth % 2 == 1)
    if not impossible:
        assert compose(depth).depths[-1] == depth
        return
    with pytest.raises(ValueError, match=r"use encoder\.depth=\d+") as refusal:
        compose(depth)
    remedy = re.search(r"encoder\.depth=(\d+)", str(refusal.value))
    assert remedy is not None
    assert compose(int(remedy[1])).depths[-1] == int(remedy[1])


def test_mae_reads_the_last_depth_only():
    assert MAE(vit(32, 8, 16, 3, 2), RandomMasker(), PixelTarget, 16, 1, 2).depths == (3,)


def test_mirl_also_reads_the_embedding():
    assert MIRL(vit(32, 8, 16, 4, 2), RandomMasker(), PixelTarget, None, 16, 1, 2).depths == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("depths", [(0, 4), (2, 5), (3, 2), (2, 2)])
def test_depths_out_of_range_or_order_are_refused(depths: tuple[int, ...]):
    with pytest.raises(ValueError, match="Depths must ascend from 1 to 4 without repeats"):
        DeepMIM(vit(32, 8, 16, 4, 2), RandomMasker(), PixelTarget, depths, 16, 1, 2)


def test_mirl_refuses_an_odd_number_of_segments():
    with pytest.raises(ValueError, match=r"even number of depths, got \[1, 2, 4\]"):
        MIRL(vit(32, 8, 16, 4, 2), RandomMasker(), PixelTarget, (1, 2, 4), 16, 1, 2)


def test_localmim_refuses_a_grid_it_cannot_halve():
    with pytest.raises(ValueError, match="3x3 grid of patches cannot be halved"):
        LocalMIM(vit(24, 8, 16, 4, 2), RandomMasker(0.5), PixelTarget, dim=16, num_heads=2)


def test_a_ratio_the_grid_is_too_small_for_is_refused_before_training():
    with pytest.raises(ValueError, match="leaves 0 of 4 cells visible"):
        MAE(vit(32, 16, 16, 1, 2), RandomMasker(0.9), PixelTarget, 16, 1, 2)
