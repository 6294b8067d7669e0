"""The record of a run is correct however the run ends."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mimbench.experiments.recorder import RunRecorder
from mimbench.runs import records
from mimbench.runs.manifest import PlannedRun
from mimbench.runs.results import ResultStore
from mimbench.training import InterruptedRun

AXES = {"method": "mae", "encoder": "vit", "depth": 4, "data": "digits", "seed": 0}


def recorder(directory: Path) -> RunRecorder:
    return RunRecorder(PlannedRun("0123456789ab", "run", AXES, ["method=mae"]), directory, "sweep")


def status(directory: Path) -> str:
    return json.loads((directory / "record.json").read_text())["status"]


def test_record_follows_the_run(tmp_path: Path) -> None:
    with recorder(tmp_path):
        assert status(tmp_path) == "running"
        assert not RunRecorder.is_finished(tmp_path)
    assert RunRecorder.is_finished(tmp_path)


@pytest.mark.parametrize(
    ("error", "expected"), [(InterruptedRun("signal"), "interrupted"), (RuntimeError("x"), "failed")]
)
def test_record_contains_the_error_of_a_run(tmp_path: Path, error: Exception, expected: str) -> None:
    with pytest.raises(type(error)), recorder(tmp_path):
        raise error
    assert status(tmp_path) == expected
    assert json.loads((tmp_path / "record.json").read_text())["error"]["message"] == str(error)


def test_run_that_was_killed_is_marked_as_failed(tmp_path: Path) -> None:
    recorder(tmp_path).__enter__()
    RunRecorder.mark_lost(tmp_path, -9)
    assert status(tmp_path) == "failed"
    assert "-9" in json.loads((tmp_path / "record.json").read_text())["error"]["message"]


def test_finished_run_is_never_marked_as_lost(tmp_path: Path) -> None:
    with recorder(tmp_path):
        pass
    RunRecorder.mark_lost(tmp_path, -9)
    assert RunRecorder.is_finished(tmp_path)


def test_resumed_run_keeps_its_first_start_time(tmp_path: Path) -> None:
    with pytest.raises(InterruptedRun), recorder(tmp_path):
        raise InterruptedRun("signal")
    record = records.read(tmp_path / "record.json")
    records.write(replace(record, started="2020-01-01T00:00:00+00:00"), tmp_path)
    with recorder(tmp_path):
        pass
    assert records.read(tmp_path / "record.json").started == "2020-01-01T00:00:00+00:00"


def test_record_of_another_run_is_ignored(tmp_path: Path) -> None:
    with recorder(tmp_path):
        pass
    record = records.read(tmp_path / "record.json")
    records.write(replace(record, identity="another", started="2020", metrics={"knn-v1": {}}), tmp_path)
    with recorder(tmp_path):
        pass
    record = records.read(tmp_path / "record.json")
    assert (record.started != "2020", record.metrics) == (True, {})


@pytest.mark.parametrize("step", [None, 3])
def test_results_added_by_evaluate_survive_a_retry(tmp_path: Path, step: int | None) -> None:
    (tmp_path / "evaluation").mkdir()
    with pytest.raises(RuntimeError), recorder(tmp_path):
        raise RuntimeError("x")
    ResultStore(tmp_path, step=step).add("linear-v1", {"accuracy": 0.5})
    with recorder(tmp_path) as retried:
        ResultStore(tmp_path, step=step and step + 1).add("attentive-v1", {"accuracy": 0.6})
        retried.record_results({"knn-v1": {"accuracy": 0.25}}, 1.0)
        ResultStore(tmp_path, step=step and step + 2).add("fewshot-v1", {"accuracy": 0.7})
    metrics = records.read(tmp_path / "record.json").metrics
    added = metrics.keys() | metrics.get("by_step", {}).keys()
    assert added - {"by_step"} == {"linear-v1", "attentive-v1", "knn-v1", "fewshot-v1"}
