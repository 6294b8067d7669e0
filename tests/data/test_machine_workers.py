"""Loader processes follow the machine where a configuration leaves them open."""

from pathlib import Path

import pytest
import yaml

from mimbench.data import Digits, ImageDataModule
from mimbench.data.workers import MOST_WORKERS, machine_workers

CONF = Path(__file__).parents[2] / "conf" / "data"


@pytest.mark.parametrize(("cores", "workers"), [(1, 0), (2, 1), (8, 7), (64, MOST_WORKERS)])
def test_one_core_is_left_to_training(cores: int, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)))
    assert machine_workers() == workers
    assert ImageDataModule(Digits(), num_workers=None).num_workers == workers
    assert ImageDataModule(Digits(), num_workers=3).num_workers == 3


@pytest.mark.parametrize("name", ["folder", "images", "table", "shards", "ade20k", "coco", "hub", "food101"])
def test_data_in_files_leaves_them_open(name: str) -> None:
    assert yaml.safe_load((CONF / f"{name}.yaml").read_text())["num_workers"] is None
