"""Masks and their weights on other grids."""

import numpy as np
import pytest
import torch

from mimbench.core import Mask
from mimbench.maskers import RandomMasker


@pytest.fixture
def mask() -> Mask:
    return RandomMasker(0.6)(3, (4, 8), generator=torch.Generator().manual_seed(0))


def test_visible_lists_the_visible_cells_in_raster_order(mask: Mask):
    for hidden, visible in zip(mask.hidden, mask.visible, strict=True):
        assert visible.tolist() == np.flatnonzero(~hidden.numpy()).tolist()


def test_finer_cells_take_the_value_of_the_cell_that_contains_them(mask: Mask):
    expected = np.kron(mask.hidden.numpy(), np.ones((3, 2)))
    np.testing.assert_array_equal(mask.weights((12, 16)), expected.reshape(3, -1))


def test_coarser_cells_take_the_mean_over_the_cells_they_cover(mask: Mask):
    expected = mask.hidden.numpy().astype(float).reshape(3, 2, 2, 4, 2).mean(axis=(2, 4))
    np.testing.assert_array_equal(mask.weights((2, 4)), expected.reshape(3, -1))
    assert set(np.unique(mask.weights((2, 4)))) <= {0, 0.25, 0.5, 0.75, 1}


def test_hidden_area_is_the_same_on_every_grid(mask: Mask):
    areas = [mask.weights(grid).mean(dim=1) for grid in ((4, 8), (8, 16), (2, 4), (1, 1))]
    for area in areas[1:]:
        torch.testing.assert_close(area, areas[0])


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_hidden_cells_are_grouped_by_cell_of_the_mask(mask: Mask, scale: int):
    grid = (4 * scale, 8 * scale)
    cells = mask.cells(grid)
    assert torch.zeros(3, grid[0] * grid[1]).scatter(1, cells, 1.0).equal(mask.weights(grid))
    rows, columns = cells // grid[1] // scale, cells % grid[1] // scale
    units = (rows * 8 + columns).unflatten(1, (-1, scale * scale))
    assert torch.equal(units.amin(2), units.amax(2))
    assert torch.equal(cells.unflatten(1, (-1, scale * scale)).sort(2).values, cells.unflatten(1, (-1, scale * scale)))


def test_a_grid_that_is_not_a_multiple_is_refused(mask: Mask):
    with pytest.raises(ValueError, match="must be a multiple of the mask's 4x8 cells, got 6x8"):
        mask.cells((6, 8))
