"""Counter-based random numbers in NumPy."""

import numpy as np

from mimbench.core.counter_rng import permutation, uniforms


def test_a_draw_does_not_depend_on_the_other_samples() -> None:
    index = np.arange(100)
    all_draws = uniforms(5, index, 0, "augmentation", 3)
    np.testing.assert_array_equal(uniforms(5, index[[42, 7]], 0, "augmentation", 3), all_draws[[42, 7]])


def test_seed_purpose_and_epoch_each_change_every_draw() -> None:
    index = np.arange(100)
    keys = [(0, "order", 0), (1, "order", 0), (0, "augmentation", 0), (0, "order", 1), (-1, "order", 0)]
    draws = np.stack([uniforms(1, index, *key)[:, 0] for key in keys])
    assert len(np.unique(draws)) == draws.size


def test_draws_are_uniform_and_uncorrelated() -> None:
    draws = uniforms(4, np.arange(20_000), 0)
    assert 0 <= draws.min() < 1e-4
    assert 1 - 1e-4 < draws.max() < 1
    # Four standard errors: 1 / sqrt(12 n) for a mean, 1 / sqrt(n) for a correlation.
    np.testing.assert_allclose(draws.mean(0), 0.5, atol=4 / np.sqrt(12 * 20_000))
    correlation = np.corrcoef(np.concatenate([draws, np.roll(draws, 1, axis=0)], axis=1).T)
    np.testing.assert_allclose(correlation, np.eye(8), atol=4 / np.sqrt(20_000))


def test_permutations_are_complete_and_reproducible_across_versions() -> None:
    order = permutation(10, 0, "order", 0)
    assert sorted(order) == list(range(10))
    # A recorded value: a change would silently break all resumed runs.
    assert order.tolist() == [9, 3, 0, 1, 2, 8, 7, 4, 6, 5]
