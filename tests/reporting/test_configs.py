"""Differences of configurations, options of the command, number of devices."""

import math
from pathlib import Path

import pytest

from mimbench.reporting import configs


def test_differences_contain_only_keys_in_which_runs_differ():
    found = configs.differences([{"a": 1, "b": 2, "c": None}, {"a": 1, "b": 3}, {"a": 1, "b": 2, "c": None}])
    assert found == [{"b": 2, "c": None}, {"b": 3}, {"b": 2, "c": None}]
    assert configs.differences([]) == []


def test_a_configuration_is_read_flat_and_a_broken_one_is_empty(tmp_path: Path):
    (tmp_path / "config.yaml").write_text("method: {name: mae, depths: [1, 2]}\nseed: 0\nlogger: {}\n")
    assert configs.read(tmp_path) == {"method.name": "mae", "method.depths": [1, 2], "seed": 0, "logger": {}}
    for text in ("a: [", "just text", ""):
        (tmp_path / "config.yaml").write_text(text)
        assert configs.read(tmp_path) == {}
    assert configs.read(tmp_path / "absent") == {}


@pytest.mark.parametrize(
    ("config", "count"),
    [
        ({"trainer.devices": 8, "trainer.num_nodes": 4}, 32),
        ({"trainer.devices": [0, 3]}, 2),
        ({"trainer.devices": "auto"}, math.nan),
        ({"trainer.devices": -1}, math.nan),
        ({}, math.nan),
    ],
)
def test_devices_are_counted_if_the_configuration_says_how_many(config: dict, count: float):
    assert configs.num_devices(config) == pytest.approx(count, nan_ok=True)
