"""Histograms of oriented gradients."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mimbench.targets import HOGTarget, target_values
from mimbench.targets.hog import _count, _count_deterministically


@pytest.fixture
def images() -> Tensor:
    values = torch.randint(-64, 64, (2, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    return values.double() / 32


def by_hand(images: np.ndarray, cell: int, bins: int, offset: tuple[float, float]) -> np.ndarray:
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    side = images.shape[-1]
    shifted = {(i, j): padded[:, :, i : i + side, j : j + side] for i in range(3) for j in range(3)}
    weights = (1, 2, 1)
    across = sum(w * (shifted[i, 0] - shifted[i, 2]) for i, w in enumerate(weights)) + offset[0]
    down = sum(w * (shifted[0, j] - shifted[2, j]) for j, w in enumerate(weights)) + offset[1]
    place = np.floor(np.arctan2(across, down) / np.pi * bins).astype(int) % bins
    votes = np.hypot(across, down)[..., None] * (place[..., None] == np.arange(bins))
    grid = side // cell
    pooled = votes.reshape(*images.shape[:2], grid, cell, grid, cell, bins).mean(axis=(3, 5))
    pooled /= np.maximum(np.linalg.norm(pooled, axis=-1, keepdims=True), 1e-12)
    return pooled.transpose(0, 2, 3, 1, 4).reshape(len(images), grid * grid, -1)


@pytest.mark.parametrize("cell", [2, 4, 8, 16])
@pytest.mark.parametrize(("bins", "offset"), [(9, None), (18, None), (18, (0.0625, -0.21875))])
def test_histograms_equal_those_computed_by_hand(
    images: Tensor, cell: int, bins: int, offset: tuple[float, float] | None
):
    target = HOGTarget(cell, bins, bias=offset is not None).double()
    if offset:
        target.offset.copy_(torch.tensor(offset))
    np.testing.assert_allclose(target(images), by_hand(images.numpy(), cell, bins, offset or (0, 0)), atol=1e-12)


def test_every_color_and_cell_has_unit_length(images: Tensor):
    lengths = HOGTarget(4).double()(images).unflatten(2, (3, 9)).norm(dim=-1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))


def test_opposite_gradients_share_a_bin(images: Tensor):
    target = HOGTarget(8).double()
    torch.testing.assert_close(target(images), target(-images))


def test_scales_share_one_gradient_pass(images: Tensor, monkeypatch: pytest.MonkeyPatch):
    passes = []
    prepare = HOGTarget.prepare
    monkeypatch.setattr(HOGTarget, "prepare", lambda self, x, *mask: passes.append(self.cell) or prepare(self, x))
    targets = [HOGTarget(cell).double() for cell in (2, 4, 8)]
    values = target_values(targets, images)
    assert len(passes) == 1
    for target in targets:  # sums of smaller cells, in another order than pixel by pixel
        torch.testing.assert_close(values[target], target(images), rtol=0, atol=1e-14)


def test_a_cell_that_no_smaller_cell_divides_is_counted_separately(images: Tensor):
    targets = [HOGTarget(cell).double() for cell in (4, 2, 8)]
    values = target_values(targets, images)
    for target in targets:
        torch.testing.assert_close(values[target], target(images), rtol=0, atol=1e-14)


def test_scales_with_different_offsets_do_not_share_gradients(images: Tensor):
    targets = [HOGTarget(cell, bias=True).double() for cell in (2, 4)]
    assert not torch.equal(targets[0].offset, targets[1].offset)
    values = target_values(targets, images)
    for target in targets:
        assert torch.equal(values[target], target(images))


def test_offset_is_saved_and_frozen():
    target = HOGTarget(4, bias=True)
    assert list(target.state_dict()) == ["offset"]
    assert not list(target.parameters())
    assert not HOGTarget(4).state_dict()


@pytest.mark.parametrize("cell", [2, 8])
def test_both_ways_of_counting_votes_agree(images: Tensor, cell: int):
    votes = HOGTarget(cell).double().prepare(images)
    counted = [count(votes.bin_index, votes.magnitude, cell, 9) for count in (_count, _count_deterministically)]
    torch.testing.assert_close(*counted)


def test_equal_neighbors_have_no_gradient():
    """With rounding errors, they would vote for the first or the last bin."""
    flat = torch.full((1, 3, 8, 8), 0.1)
    assert not HOGTarget(4)(flat).any()
    stripes = torch.rand(8, 1, generator=torch.Generator().manual_seed(0)).expand(1, 3, 8, 8)  # horizontal
    votes = HOGTarget(4).prepare(stripes)
    assert votes.magnitude.any()
    assert set(votes.bin_index.unique().tolist()) == {0}
