"""What a search for hyper-parameters looks at."""

from pathlib import Path

import pytest

from mimbench.cli.mistakes import Mistake
from mimbench.cli.objective import check_objective, objective_of
from mimbench.reporting import records
from mimbench.reporting.records import Record

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
    assert objective_of({"objective": key}, run) == value


def test_the_test_split_is_for_no_choices() -> None:
    with pytest.raises(Mistake, match="not measured on the validation split"):
        check_objective({"objective": "linear-v1.accuracy"})


def test_a_search_needs_an_objective() -> None:
    with pytest.raises(Mistake, match="needs objective"):
        check_objective({"objective": None}, required=True)


def test_an_objective_that_was_not_measured_is_a_mistake_that_names_those_that_were(run: Path) -> None:
    with pytest.raises(Mistake, match=r"it has linear-v1.val_accuracy, val/loss\."):
        objective_of({"objective": "knn-v1.val_accuracy"}, run)
