"""The photographs of scikit-image and their regions."""

import numpy as np
import pytest

from mimbench.data.source import SplitName
from mimbench.data.synthetic.skimage_tiles import NUM_CANDIDATES, NUM_DRAWS, PHOTOGRAPHS, Photographs, contrasted

SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


@pytest.mark.parametrize("size", [32, 96])
def test_regions_of_the_splits_share_no_pixel(size: int) -> None:
    photographs = Photographs(PHOTOGRAPHS, size, seed=0)
    for label, gray in enumerate(photographs.gray):
        covered = np.zeros(gray.shape, int)
        for name in SPLITS:
            tiles = photographs.tiles(label, name)
            assert len(tiles)
            for top, left, bottom, right in tiles:
                assert min(bottom - top, right - left) >= size
                covered[top:bottom, left:right] += 1
        assert (covered == 1).all()


def test_every_listed_photograph_ships_with_scikit_image() -> None:
    assert len(Photographs(PHOTOGRAPHS, 32, seed=0).gray) == len(PHOTOGRAPHS) == 16


@pytest.mark.parametrize("draw", [0.0, 0.5, 1 - 2**-53])
def test_candidates_are_crops_within_the_tiles_of_the_split(draw: float) -> None:
    photographs = Photographs(("coins",), 32, seed=0)
    photographs.gray[0][:] = np.arange(photographs.gray[0].size).reshape(photographs.gray[0].shape)  # values tell place
    crops = photographs.candidates(0, "val", np.full((2, NUM_DRAWS), draw))
    assert crops.shape == (2, NUM_CANDIDATES, 32, 32)
    first = divmod(int(crops[0, 0, 0, 0]), photographs.gray[0].shape[1])
    assert any(
        top <= first[0] <= bottom - 32 and left <= first[1] <= right - 32
        for top, left, bottom, right in photographs.tiles(0, "val")
    )


def test_contrast_becomes_the_same_for_all() -> None:
    crops = np.random.default_rng(0).normal(7, [[[1]], [[9]]], size=(2, 32, 32))
    found = contrasted(crops, crops.mean((1, 2), keepdims=True), crops.std((1, 2), keepdims=True))
    assert found.mean((1, 2)) == pytest.approx(128)
    assert found.std((1, 2)) == pytest.approx(40, rel=0.02)


def test_crops_too_large_for_three_regions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"cat \(451 x 300\) is too small"):
        Photographs(("cat",), 160, seed=0).tiles(0, "train")


def test_unknown_photographs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\['lenna'\]; choose from astronaut"):
        Photographs(("lenna",), 32, seed=0)
