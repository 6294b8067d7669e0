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


def test_ignored_cells_are_hidden_and_neither_predicted_nor_weighted():
    drawn = RandomMasker(0.75)(3, (7, 7), generator=torch.Generator().manual_seed(0), predicted_ratio=0.25)
    assert drawn.ignored is not None
    # CrossMAE's released code truncates twice: 49 patches at 0.75 and 0.25 give 12 visible, 24 ignored, 13 predicted.
    assert [drawn.num_visible, drawn.num_ignored, drawn.cells((7, 7)).shape[1]] == [12, 24, 13]
    predicted = drawn.hidden & ~drawn.ignored
    assert torch.equal(drawn.weights((7, 7)), predicted.flatten(1).float())
    assert torch.equal(drawn.hides((7, 7)), drawn.hidden.flatten(1))
    for one, cells, visible in zip(predicted, drawn.cells((7, 7)), drawn.visible, strict=True):
        assert cells.tolist() == np.flatnonzero(one.numpy()).tolist()
        assert not set(visible.tolist()) & set(cells.tolist())


def test_the_same_key_hides_the_same_cells_whatever_part_of_them_is_predicted():
    keys = torch.arange(4)
    whole = RandomMasker(0.75).from_keys(keys, (4, 4))
    part = RandomMasker(0.75).from_keys(keys, (4, 4), 0.25)
    assert whole.ignored is None
    assert torch.equal(whole.hidden, part.hidden)
    assert torch.equal(RandomMasker(0.75).from_keys(keys, (4, 4), 0.75).cells((4, 4)), whole.cells((4, 4)))


@pytest.mark.parametrize("ratio", [0.0, 0.8, -0.1])
def test_a_share_of_predicted_cells_that_cannot_be_is_refused(ratio: float):
    with pytest.raises(ValueError, match=r"set method\.predicted_ratio to a number above 0 and at most 0\.75"):
        RandomMasker(0.75).from_keys(torch.arange(2), (4, 4), ratio)
