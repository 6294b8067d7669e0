"""Stratified hold-out."""

import pytest
import torch

from mimbench.data.holdout import stratified_holdout

LABELS = torch.tensor([0] * 40 + [1] * 20 + [2] * 3)[torch.randperm(63, generator=torch.Generator().manual_seed(0))]


def test_every_class_gives_its_fraction_and_at_least_one() -> None:
    kept, held = stratified_holdout(LABELS, 0.1, seed=0)
    assert torch.bincount(LABELS[held]).tolist() == [4, 2, 1]
    assert sorted([*kept.tolist(), *held.tolist()]) == list(range(63))


def test_the_seed_decides() -> None:
    first, again, other = (stratified_holdout(LABELS, 0.1, seed).held.tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_a_class_with_one_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="Class 7 has too few samples, 1,"):
        stratified_holdout(torch.tensor([0, 0, 0, 7]), 0.5, seed=0)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_a_fraction_outside_0_1_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        stratified_holdout(LABELS, fraction, seed=0)
