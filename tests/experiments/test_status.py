"""States of runs, read from their directories."""

import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from mimbench.experiments import status
from mimbench.experiments.launch.slurm_jobs import JobState, Submission, write_submission
from mimbench.experiments.status import RunStatus, read_sweep, sweeps_below
from mimbench.runs.lock import SILENCE
from mimbench.runs.manifest import PlannedRun, merge_manifest

AXES = {"method": "mae", "encoder": "vit", "depth": 4, "data": "photos", "seed": 0}
HERE = platform.node()


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep with two planned runs and one refused run."""
    runs = [PlannedRun(name * 12, name, AXES, [f"seed={name}"]) for name in ("a", "b")]
    merge_manifest(tmp_path / "s", "s", [*runs, PlannedRun("c" * 12, "c", AXES, ["seed=c"], "an odd depth")])
    return tmp_path / "s"


def begin(sweep: Path, name: str, state: str, host: str = HERE, age: float = 0.0, **progress: Any) -> Path:
    directory = sweep / name
    directory.mkdir(exist_ok=True)
    error = {"type": "ValueError", "message": "broken"} if state == "failed" else None
    record = {"schema": 1, "identity": name * 12, "name": name, "status": state, "axes": AXES, "started": ""}
    record |= {"error": error, "environment": {"host": host}}
    (directory / "record.json").write_text(json.dumps(record))
    if progress:
        (directory / "progress.json").write_text(json.dumps({"host": host} | progress))
    for path in directory.iterdir():
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    return directory


def read(sweep: Path, name: str) -> RunStatus:
    return next(run for run in read_sweep(sweep) if run.name == name)


def test_every_planned_run_is_listed_in_order_and_then_the_others(sweep: Path) -> None:
    begin(sweep, "x", "finished")
    runs = read_sweep(sweep)
    assert [(run.name, run.state) for run in runs] == [
        ("a", "planned"),
        ("b", "planned"),
        ("c", "refused"),
        ("x", "finished"),
    ]
    assert runs[0].overrides == ("seed=a",)
    assert runs[2].error == "an odd depth"


@pytest.mark.parametrize("state", ["finished", "failed", "interrupted"])
def test_the_state_of_an_ended_run_is_that_of_its_record(sweep: Path, state: str) -> None:
    begin(sweep, "a", state)
    assert read(sweep, "a").state == state
    assert read(sweep, "a").error == ("ValueError: broken" if state == "failed" else "")


def test_a_run_whose_lock_is_held_is_running(sweep: Path) -> None:
    directory = begin(sweep, "a", "running", step=10, total=40, steps_per_epoch=4, seconds_left=90.0)
    with FileLock(directory / ".lock"):
        run = read(sweep, "a")
    assert (run.state, run.progress.step, run.progress.total) == ("running", 10, 40)
    assert run.progress.seconds_left_now == pytest.approx(90, abs=5)


def test_reading_the_state_does_not_take_the_lock(sweep: Path) -> None:
    directory = begin(sweep, "a", "running")
    (directory / ".lock").touch()
    read_sweep(sweep)
    with FileLock(directory / ".lock", timeout=0):
        pass


def test_a_run_whose_lock_is_free_is_lost_and_shows_the_last_line_of_its_log(sweep: Path) -> None:
    directory = begin(sweep, "a", "running", step=10, total=40)
    (directory / ".lock").touch()
    (directory / "log.txt").write_text("step 10/40\nKilled\n")
    run = read(sweep, "a")
    assert (run.state, run.error, run.log) == ("lost", "Killed", directory / "log.txt")


@pytest.mark.parametrize(("age", "state"), [(0.0, "running"), (2 * SILENCE, "lost")])
def test_a_run_of_another_host_is_lost_when_its_files_have_not_changed(sweep: Path, age: float, state: str) -> None:
    begin(sweep, "a", "running", host="elsewhere", age=age, step=10)
    assert read(sweep, "a").state == state


@pytest.mark.parametrize(("age", "state"), [(0.0, "planned"), (300.0, "lost")])
def test_a_run_that_failed_before_its_first_record_is_lost(sweep: Path, age: float, state: str) -> None:
    (sweep / "a").mkdir()
    (sweep / "a" / "log.txt").write_text("ImportError: no such module\n")
    os.utime(sweep / "a" / "log.txt", (0, (sweep / "a" / "log.txt").stat().st_mtime - age))
    assert read(sweep, "a").state == state
    assert read(sweep, "a").error == ("" if state == "planned" else "ImportError: no such module")


def test_time_since_the_last_progress_is_subtracted_from_the_time_left(sweep: Path) -> None:
    directory = begin(sweep, "a", "running", age=60.0, step=1, total=9, seconds_left=100.0)
    with FileLock(directory / ".lock"):
        assert read(sweep, "a").progress.seconds_left_now == pytest.approx(40, abs=5)


@pytest.fixture
def job(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Makes run "a" job 7; returns a function that sets its SLURM state. None: SLURM does not answer."""
    write_submission(Submission("7", "2024-01-01T00:00:00", "out.txt", 1, {"partition": "gpu"}), sweep / "a")

    def set_state(state: str | None) -> None:
        answer = None if state is None else {"7": JobState(state, "Priority")} if state else {}
        monkeypatch.setattr(status, "job_states", lambda jobs: answer)

    return set_state


@pytest.mark.parametrize(
    ("record", "slurm", "state"),
    [
        (None, "PENDING", "queued"),
        (None, "CANCELLED", "lost"),
        (None, "", "lost"),
        (None, None, "queued"),
        ("running", "RUNNING", "running"),
        ("running", "NODE_FAIL", "lost"),
        ("running", "", "lost"),
        ("interrupted", "PENDING", "queued"),
        ("interrupted", "CANCELLED", "interrupted"),
        ("failed", "FAILED", "failed"),
        ("finished", "COMPLETED", "finished"),
        ("finished", "RUNNING", "finished"),
    ],
)
def test_state_combines_the_record_and_slurm(
    sweep: Path, job: Callable[[str | None], None], record: str | None, slurm: str | None, state: str
) -> None:
    if record:
        begin(sweep, "a", record, host="node1")
    job(slurm)
    run = read(sweep, "a")
    assert run.state == state
    assert run.launcher == {"partition": "gpu"}
    if state == "queued" and slurm:
        assert run.error == "PENDING Priority"


def test_incomplete_files_count_as_missing(sweep: Path) -> None:
    directory = begin(sweep, "a", "finished")
    (directory / "progress.json").write_text('{"step": 1')
    (directory / "slurm.json").write_text("{")
    assert read(sweep, "a").progress.step is None


def test_sweeps_are_found_in_a_directory_of_sweeps(sweep: Path, tmp_path: Path) -> None:
    (tmp_path / "t" / "run").mkdir(parents=True)
    (tmp_path / "t" / "run" / "record.json").write_text("{}")
    (tmp_path / "notes").mkdir()
    assert sweeps_below(tmp_path) == [sweep, tmp_path / "t"]
    assert sweeps_below(sweep) == [sweep]


def test_directories_without_a_sweep_are_rejected(sweep: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no directory"):
        sweeps_below(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="contains no sweep"):
        sweeps_below(tmp_path / "empty")
    with pytest.raises(ValueError, match="single run"):
        sweeps_below(begin(sweep, "a", "finished"))
    (sweep / "sweep.json").write_text("{")
    with pytest.raises(ValueError, match="not a plan of a sweep"):
        read_sweep(sweep)
