"""Maskers hide the requested number of cells."""

import numpy as np
import pytest
import torch

from mimbench.core import keys
from mimbench.maskers import BlockMasker, GridMasker, Masker, RandomMasker

ALL = [RandomMasker, BlockMasker, GridMasker]
GRIDS = [(8, 8), (14, 14), (6, 10)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("kind", ALL)
def test_count_is_exact_at_every_ratio(kind: type[Masker], grid: tuple[int, int]):
    for tenth in range(1, 10):
        mask = kind(tenth / 10)(4, grid, generator=seeded())
        visible = int(grid[0] * grid[1] * (1 - tenth / 10))
        assert mask.num_visible == visible
        assert mask.hidden.shape == (4, *grid)
        assert (~mask.hidden).sum(dim=(1, 2)).tolist() == [visible] * 4


@pytest.mark.parametrize("kind", [RandomMasker, BlockMasker])
def test_every_image_has_its_own_mask(kind: type[Masker]):
    hidden = kind()(16, (14, 14), generator=seeded()).hidden.flatten(1)
    assert len(hidden.unique(dim=0)) == 16


@pytest.mark.parametrize("kind", ALL)
def test_shared_masks_are_the_same_for_all_images(kind: type[Masker]):
    mask = kind(shared=True)(5, (8, 8), generator=seeded())
    assert mask.shared
    assert mask.hidden.shape == (5, 8, 8)
    assert len(mask.hidden.flatten(1).unique(dim=0)) == 1


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("shared", [False, True])
def test_the_mask_of_an_image_depends_only_on_its_key(kind: type[Masker], shared: bool):
    index = torch.tensor([5, 900, 5, 1])
    mask = kind(shared=shared).from_keys(keys(index, 0), (14, 14))
    torch.rand(3)
    alone = kind(shared=shared).from_keys(keys(index[:1], 0), (14, 14))
    assert torch.equal(mask.hidden[0], alone.hidden[0])
    assert torch.equal(mask.hidden[0], mask.hidden[2])
    assert mask.hidden.flatten(1).unique(dim=0).shape[0] == (1 if shared or kind is GridMasker else 3)


@pytest.mark.parametrize("kind", ALL)
def test_masks_on_the_meta_device_have_no_values(kind: type[Masker]):
    mask = kind()(2, (8, 8), "meta")
    assert mask.hidden.is_meta
    assert mask.num_visible == 16


@pytest.mark.parametrize("kind", ALL)
def test_the_generator_determines_the_masks(kind: type[Masker]):
    first, again, other = (kind()(3, (14, 14), generator=seeded(s)).hidden for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (kind is GridMasker)


def test_random_masks_hide_every_cell_equally_often_over_images_and_over_epochs():
    images = RandomMasker(0.75).from_keys(keys(torch.arange(4000), 0, 0), (4, 4)).hidden
    epochs = torch.cat(
        [RandomMasker(0.75).from_keys(keys(torch.tensor([17]), 0, e), (4, 4)).hidden for e in range(4000)]
    )
    for hidden in (images, epochs):
        hidden = hidden.flatten(1).double()
        assert (hidden.mean(dim=0) - 0.75).abs().max() < 0.0274  # four standard deviations of 0.00685
        # 4 of 16 cells are visible; a pair is visible with probability 4 * 3 / (16 * 15), standard deviation 0.0034.
        pairs = (1 - hidden).T @ (1 - hidden) / 4000
        assert (
            pairs[~torch.eye(16, dtype=torch.bool)] - 0.05
        ).abs().max() < 0.017  # five standard deviations, since there are 120 pairs


def test_masks_of_neighboring_images_are_independent():
    hidden = RandomMasker(0.5).from_keys(keys(torch.arange(4001), 0, 0), (4, 4)).hidden.flatten(1).double() - 0.5
    same = (hidden[1:] * hidden[:-1]).mean(dim=0) * 4  # a correlation
    assert same.abs().max() < 4 / 4000**0.5


def test_block_masks_are_more_connected_than_random_ones():
    def borders(masker: Masker) -> float:
        hidden = masker(32, (14, 14), generator=seeded()).hidden.numpy()
        return np.abs(np.diff(hidden.astype(int), axis=1)).mean() + np.abs(np.diff(hidden.astype(int), axis=2)).mean()

    assert borders(BlockMasker(0.5)) < 0.6 * borders(RandomMasker(0.5))


def test_grid_masks_keep_one_of_every_four_cells_at_a_ratio_of_0_75():
    visible = ~GridMasker(0.75)(1, (8, 8)).hidden[0]
    assert visible.reshape(4, 2, 4, 2).sum(dim=(1, 3)).eq(1).all()
    assert torch.equal(visible, visible[:2, :2].repeat(4, 4))


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.5, 1.2])
def test_ratios_outside_0_and_1_are_refused(ratio: float):
    with pytest.raises(ValueError, match=rf"between 0 and 1.*got {ratio}"):
        RandomMasker(ratio)


@pytest.mark.parametrize(("ratio", "visible"), [(0.95, 0), (0.8, 0)])
def test_a_grid_too_small_for_the_ratio_is_refused(ratio: float, visible: int):
    with pytest.raises(ValueError, match=f"leaves {visible} of 4 cells visible; use smaller patches"):
        RandomMasker(ratio)(1, (2, 2))
