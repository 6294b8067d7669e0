"""`mimbench status`."""

import json
from pathlib import Path

import pytest

from mimbench.cli import main
from mimbench.cli.status_table import duration
from mimbench.runs.manifest import PlannedRun, merge_manifest

AXES = {"method": "mae", "encoder": "vit", "depth": 4, "data": "photos", "seed": 0}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    merge_manifest(tmp_path / "s", "s", [PlannedRun("a" * 12, "first", AXES), PlannedRun("b" * 12, "second", AXES)])
    directory = tmp_path / "s" / "first"
    directory.mkdir()
    error = {"type": "OSError", "message": "the disk is full"}
    record = {"schema": 1, "identity": "a" * 12, "name": "first", "status": "failed", "axes": AXES, "started": ""}
    (directory / "record.json").write_text(json.dumps(record | {"error": error}))
    (directory / "log.txt").write_text("step 10/40\n")
    values = {"step": 10, "total": 40, "steps_per_epoch": 4, "images_per_second": 123.4}
    (directory / "progress.json").write_text(json.dumps(values))
    return tmp_path / "s"


@pytest.mark.parametrize("words", [[], ["--watch", "0.2"]])
def test_a_table_says_how_far_each_run_is_and_what_is_wrong(
    sweep: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With --watch it ends, since nothing goes on any more."""
    assert main(["status", str(sweep), *words]) == 0
    told = capsys.readouterr().out
    first = next(line for line in told.splitlines() if line.startswith("first"))
    for word in ("failed", "2.5", "10/40", "123", "OSError: the disk is full"):
        assert word in first
    assert "first/log.txt" in told
    assert "planned" in next(line for line in told.splitlines() if line.startswith("second"))
    assert "2 runs: 1 failed, 1 planned." in told
    assert "mimbench retry" in told


@pytest.mark.parametrize("words", [["--watch", "{}"], ["{}", "--watch"], ["--watch=0.2", "{}"]])
def test_the_directory_is_not_taken_for_the_seconds_of_watch(
    sweep: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", *(word.format(sweep) for word in words)]) == 0
    assert "2 runs: 1 failed, 1 planned." in capsys.readouterr().out


def test_every_sweep_of_a_directory_has_a_table(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    merge_manifest(sweep.parent / "t", "t", [PlannedRun("c" * 12, "third", AXES)])
    assert main(["status", str(sweep.parent)]) == 0
    told = capsys.readouterr().out
    assert "third" in told
    assert "first" in told


def test_a_place_without_a_sweep_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.startswith("mimbench status: There is no directory")


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "?"), (40, "40 s"), (75, "1 min 15 s"), (7300, "2 h 1 min"), (97000, "1 d 2 h")]
)
def test_durations_have_two_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
