"""The objective of a hyper-parameter search."""

from pathlib import Path

import pytest

from mimbench.core.errors import UserError
from mimbench.experiments.objective import check_objective, read_objective
from mimbench.runs import records
from mimbench.runs.records import Record

AXES = {"method": "mae", "encoder": "e", "depth": 2, "data": "d", "seed": 0}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    metrics = {"linear-v1": {"val_accuracy": 0.75, "accuracy": 0.5}, "val/loss": 0.25}
    record = Record(identity="0", name="r", status="finished", axes=AXES, started="", sweep="s", metrics=metrics)
    records.write(record, tmp_path)
    return tmp_path


@pytest.mark.parametrize(("key", "value"), [("linear-v1.val_accuracy", 0.75), ("val/loss", 0.25), (None, None)])
def test_objective_is_read_from_the_record(run: Path, key: str | None, value: float | None) -> None:
    check_objective({"objective": key})
    assert read_objective({"objective": key}, run) == value


def test_an_objective_on_the_test_split_is_rejected() -> None:
    with pytest.raises(UserError, match="not measured on the validation split"):
        check_objective({"objective": "linear-v1.accuracy"})


def test_a_search_needs_an_objective() -> None:
    with pytest.raises(UserError, match="needs objective"):
        check_objective({"objective": None}, required=True)


def test_an_objective_without_a_result_is_an_error_that_names_the_results(run: Path) -> None:
    with pytest.raises(UserError, match=r"choose one of linear-v1.val_accuracy, val/loss\."):
        read_objective({"objective": "knn-v1.val_accuracy"}, run)
