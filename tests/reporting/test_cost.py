"""The Pareto front of accuracy against cost."""

import numpy as np
import pytest

from mimbench.reporting.cost import pareto


def test_the_front_contains_points_that_no_cheaper_point_reaches():
    costs, values = [1, 2, 3, 4, 2], [10, 30, 20, 40, 25]
    assert pareto(costs, values) == [0, 1, 3]


def test_of_equal_costs_the_better_and_of_equal_values_the_cheaper_point_remains():
    assert pareto([1, 1], [5, 7]) == [1]
    assert pareto([2, 1], [5, 5]) == [1]
    assert pareto([], []) == []


@pytest.mark.parametrize("seed", range(5))
def test_the_front_agrees_with_the_definition(seed: int):
    rng = np.random.default_rng(seed)
    costs, values = rng.random(40), rng.random(40)
    expected = {
        i for i in range(40) if not any((costs[j] < costs[i]) and (values[j] >= values[i]) for j in range(40) if j != i)
    }
    assert set(pareto(costs.tolist(), values.tolist())) == expected
