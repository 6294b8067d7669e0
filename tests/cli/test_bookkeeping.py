"""A run's record is true however the run ends."""

import json
from pathlib import Path

import pytest

from mimbench.cli.bookkeeping import Bookkeeping
from mimbench.sweeps import PlannedRun
from mimbench.training import InterruptedRun

AXES = {"method": "mae", "encoder": "vit", "depth": 4, "data": "digits", "seed": 0}


def book(directory: Path) -> Bookkeeping:
    return Bookkeeping(PlannedRun("0123456789ab", "run", AXES, ["method=mae"]), directory, "sweep")


def status(directory: Path) -> str:
    return json.loads((directory / "record.json").read_text())["status"]


def test_record_follows_the_run(tmp_path: Path) -> None:
    with book(tmp_path):
        assert status(tmp_path) == "running"
        assert not Bookkeeping.finished(tmp_path)
    assert Bookkeeping.finished(tmp_path)


@pytest.mark.parametrize(
    ("error", "expected"), [(InterruptedRun("signal"), "interrupted"), (RuntimeError("x"), "failed")]
)
def test_record_tells_how_a_run_broke(tmp_path: Path, error: Exception, expected: str) -> None:
    with pytest.raises(type(error)), book(tmp_path):
        raise error
    assert status(tmp_path) == expected
    assert json.loads((tmp_path / "record.json").read_text())["error"]["message"] == str(error)


def test_run_that_was_killed_is_marked_as_failed(tmp_path: Path) -> None:
    book(tmp_path).__enter__()
    Bookkeeping.lost(tmp_path, -9)
    assert status(tmp_path) == "failed"
    assert "-9" in json.loads((tmp_path / "record.json").read_text())["error"]["message"]


def test_finished_run_is_never_marked_as_lost(tmp_path: Path) -> None:
    with book(tmp_path):
        pass
    Bookkeeping.lost(tmp_path, -9)
    assert Bookkeeping.finished(tmp_path)
