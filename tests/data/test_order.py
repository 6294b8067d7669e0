"""Orders of an epoch: nothing twice, nothing far from its shard's turn."""

import numpy as np
import pytest
from jaxtyping import Int64

from mimbench.data.order import buffered, shuffled

SHARDS, PER_SHARD = 40, 50


def where() -> Int64[np.ndarray, "n 2"]:
    """Images in the folder's order, which is not the shards'."""
    places = [(shard, 700 * number) for shard in range(SHARDS) for number in range(PER_SHARD)]
    return np.random.default_rng(0).permutation(np.array(places))


def most_shards_in_a_batch(order: Int64[np.ndarray, " n"], batch: int = 32) -> int:
    shard = where()[order, 0]
    return max(len(np.unique(shard[start : start + batch])) for start in range(len(order) - batch))


@pytest.mark.parametrize("buffer", [1, 100, 5000])
def test_every_image_comes_once_an_epoch(buffer: int) -> None:
    assert np.array_equal(np.sort(buffered(where(), buffer, 0, 0)), np.arange(SHARDS * PER_SHARD))


def test_a_buffer_of_one_reads_every_shard_from_its_beginning_to_its_end() -> None:
    shard, offset = where()[buffered(where(), 1, 3, 4)].T
    assert np.array_equal(offset, np.tile(700 * np.arange(PER_SHARD), SHARDS))
    turns = shard[::PER_SHARD]
    assert np.array_equal(shard, np.repeat(turns, PER_SHARD))
    assert not np.array_equal(turns, np.sort(turns))


@pytest.mark.parametrize("buffer", [20, 100, 400])
def test_images_are_mixed_as_far_as_the_buffer_goes_and_no_further(buffer: int) -> None:
    places = [np.argsort(buffered(where(), size, 0, 0)) for size in (1, buffer)]
    moved = np.abs(places[1] - places[0])
    assert moved.max() <= buffer
    assert moved.mean() > buffer / 5  # a quarter, where delays are uniform


def test_a_batch_comes_from_few_shards() -> None:
    assert most_shards_in_a_batch(buffered(where(), 100, 0, 0)) <= (2 * 100 + 32) // PER_SHARD + 2
    assert most_shards_in_a_batch(shuffled(SHARDS * PER_SHARD, 0, 0)) > 20


def test_orders_follow_from_seed_and_epoch() -> None:
    keys = [(0, 0), (0, 1), (1, 0)]
    orders = [buffered(where(), 100, *key) for key in keys]
    assert all(np.array_equal(buffered(where(), 100, *key), order) for key, order in zip(keys, orders, strict=True))
    turns = {tuple(dict.fromkeys(where()[buffered(where(), 1, *key), 0].tolist())) for key in keys}
    assert len({tuple(order.tolist()) for order in orders}) == len(turns) == 3
