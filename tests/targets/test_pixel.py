"""Pixel targets."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mimbench.targets import PixelTarget
from mimbench.targets.pixel import patchify, unpatchify


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))


def test_patches_are_in_raster_order_as_row_column_color(images: Tensor):
    patches = patchify(images, 4)
    for row in range(2):
        for column in range(3):
            block = images[:, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            assert torch.equal(patches[:, 3 * row + column], block.permute(0, 2, 3, 1).flatten(1))


@pytest.mark.parametrize("cell", [1, 2, 4])
def test_unpatchify_inverts_patchify(images: Tensor, cell: int):
    assert torch.equal(unpatchify(patchify(images, cell), cell, (8 // cell, 12 // cell)), images)


def test_cells_are_standardized_with_the_unbiased_variance(images: Tensor):
    patches = patchify(images, 4).numpy()
    expected = (patches - patches.mean(2, keepdims=True)) / np.sqrt(patches.var(2, ddof=1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(PixelTarget(4)(images), expected, rtol=0, atol=1e-5)


def test_the_raw_target_equals_the_patches(images: Tensor):
    assert torch.equal(PixelTarget(4, normalize=False)(images), patchify(images, 4))


def test_constant_cells_give_zeros():
    assert not PixelTarget(4)(torch.full((1, 3, 8, 8), 2.5)).any()


@pytest.mark.parametrize("normalize", [True, False])
def test_a_perfect_prediction_shows_the_image(images: Tensor, normalize: bool):
    target = PixelTarget(4, normalize)
    torch.testing.assert_close(target.to_image(target(images), images), images, rtol=0, atol=1e-5)


def test_error_is_the_mean_square_over_channels(images: Tensor):
    target = PixelTarget(4)
    value = target(images)
    assert not target.error(value, value).any()
    torch.testing.assert_close(target.error(value + 2, value), torch.full((2, 6), 4.0))
