"""metrics.csv: one row per value, and none after the checkpoint of a resumed run."""

from pathlib import Path

import pytest

from mimbench.training import MetricsFile


@pytest.fixture
def file(tmp_path: Path) -> MetricsFile:
    metrics = MetricsFile(tmp_path / "metrics.csv")
    for step in (1, 2, 3):
        metrics.log_metrics({"train/loss": step / 3, "epoch": 0.0}, step=step)
    return metrics


def test_values_are_written_with_full_precision(file: MetricsFile) -> None:
    lines = file.path.read_text().splitlines()
    assert lines[:2] == ["step,metric,value", f"1,train/loss,{1 / 3!r}"]
    assert len(lines) == 4


def test_trimming_removes_a_step_and_all_later_ones(file: MetricsFile) -> None:
    file.trim(2)
    assert file.path.read_text() == f"step,metric,value\n1,train/loss,{1 / 3!r}\n"


@pytest.mark.parametrize("rest", ["3", "30,train", "1,train/loss,0.", "\n", ""])
def test_an_incomplete_line_of_a_killed_run_is_removed(file: MetricsFile, rest: str) -> None:
    whole = file.path.read_text()
    file.path.write_text(whole + rest.strip("\n"))
    file.trim(100)
    assert file.path.read_text() == whole


@pytest.mark.parametrize("content", ["", "step,met"])
def test_a_file_without_a_complete_header_is_started_again(tmp_path: Path, content: str) -> None:
    metrics = MetricsFile(tmp_path / "metrics.csv")
    metrics.path.write_text(content)
    metrics.trim(5)
    metrics.log_metrics({"lr": 0.5}, step=1)
    assert metrics.path.read_text() == "step,metric,value\n1,lr,0.5\n"


def test_last_returns_the_last_value_of_every_metric(file: MetricsFile) -> None:
    file.log_metrics({"val/loss": 0.25}, step=2)
    assert file.last() == {"train/loss": 1.0, "val/loss": 0.25}


def test_a_run_without_a_file_has_no_values(tmp_path: Path) -> None:
    assert MetricsFile(tmp_path / "metrics.csv").last() == {}
