"""The Pareto front of accuracy against cost, and the unit of hours."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mimbench.reporting import report
from mimbench.reporting.collect import collect
from mimbench.reporting.cost import costs, device_hours, pareto
from mimbench.reporting.render import sentences, tables
from mimbench.reporting.summary import summarize


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


@pytest.mark.parametrize(
    ("devices", "unit"),
    [
        (("CPU, 2 cores",), "CPU hours, 2 cores"),
        (("CPU, 2 cores", "CPU, 8 cores"), "CPU hours"),
        (("NVIDIA H100 80GB HBM3",), "GPU hours, NVIDIA H100 80GB HBM3"),
        (("NVIDIA A100", "NVIDIA V100"), "GPU hours"),
        (("NVIDIA A100", "CPU, 2 cores"), "device hours"),
        ((None,), "device hours"),
    ],
)
def test_hours_are_those_of_the_devices_that_ran(
    make_run: Callable[..., Path], devices: tuple[str | None, ...], unit: str
):
    for seed, device in enumerate(devices):
        cost = {"device_seconds": 1800.0}
        directory = make_run("mae", seed, environment={"device": device}, cost=cost)
    sweep = collect(directory.parent)
    summaries = summarize(sweep)
    assert device_hours(summaries) == costs(summaries)["hours"].title == unit
    assert tables.rows(summaries)[0][unit] == "0.5"
    runs = "one run" if len(devices) == 1 else "2 runs"
    assert sentences.cost(summaries) == f"Pre-training took {len(devices) / 2:g} {unit}, in {runs}."
    page = report.write(sweep, summaries, directory.parent / "report", draw=False).read_text()
    assert f">{unit}</button></th>" in page
