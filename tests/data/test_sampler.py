"""One global order per epoch, however it is shared."""

import numpy as np
import pytest
from torch.utils.data import Dataset

from mimbench.data.sampler import EpochSampler


class Numbers(Dataset[int]):
    def __len__(self) -> int:
        return 50


def steps(world_size: int = 1, accumulate: int = 1, epoch: int = 0, seed: int = 0) -> list[list[int]]:
    """Sorted samples of every optimizer step, collected from all ranks and micro-batches."""
    collected: list[list[int]] = [[] for _ in range(4)]
    for rank in range(world_size):
        sampler = EpochSampler(Numbers(), 12, seed, rank, world_size, accumulate)
        sampler.set_epoch(epoch)
        draws = list(sampler)
        assert len(draws) == len(sampler) == 4 * accumulate
        assert {draw.epoch for draw in draws} == {epoch}
        for number, draw in enumerate(draws):
            assert len(draw.index) == 12 // world_size // accumulate
            collected[number // accumulate] += draw.index.tolist()
    return [sorted(step) for step in collected]


@pytest.mark.parametrize(("world_size", "accumulate"), [(2, 1), (1, 2), (2, 3), (4, 1), (3, 2)])
def test_a_step_holds_the_same_images_on_any_number_of_devices(world_size: int, accumulate: int) -> None:
    assert steps(world_size, accumulate) == steps()


def test_no_image_comes_twice_in_an_epoch_and_the_smaller_last_step_is_dropped() -> None:
    images = np.concatenate(steps(2, 2))
    assert len(images) == len(np.unique(images)) == 48


def test_epochs_and_seeds_differ() -> None:
    assert steps(epoch=0) != steps(epoch=1)
    assert steps(seed=0) != steps(seed=1)


def test_a_new_epoch_starts_at_its_first_batch() -> None:
    sampler = EpochSampler(Numbers(), 10, seed=0)
    sampler.start = 2
    sampler.set_epoch(0)
    assert len(list(sampler)) == 3
    sampler.set_epoch(1)
    assert len(list(sampler)) == 5


def test_a_batch_that_devices_cannot_share_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"2 devices x 4 .* multiple of 8"):
        EpochSampler(Numbers(), 12, 0, world_size=2, accumulate=4)


def test_a_batch_larger_than_the_training_set_is_refused() -> None:
    with pytest.raises(ValueError, match="larger than the training set of 50"):
        EpochSampler(Numbers(), 51, 0)
