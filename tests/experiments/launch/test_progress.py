"""The progress of a sweep, with and without a terminal."""

import io
import json
import os
import time
from pathlib import Path

import pytest
from rich.console import Console

from mimbench.experiments.launch.live import LiveProgress
from mimbench.experiments.launch.pool import Job, JobResult
from mimbench.experiments.launch.progress import ProgressLines, open_progress
from mimbench.runs.progress import TRAINING, read_progress, write_progress, write_stage


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "mae-s0-0123").mkdir()
    return Job("mae-s0-0123", [], tmp_path / "mae-s0-0123" / "log.txt")


def train(job: Job, step: int) -> None:
    values = {"step": step, "total": 40, "images_per_second": 206.4, "seconds_left": 75.0}
    write_progress(job.folder / "progress.json", TRAINING, **values)


def finish(job: Job) -> JobResult:
    axes = {"method": "mae", "encoder": "vit", "depth": 4, "data": "photos", "seed": 0}
    record = {"schema": 1, "identity": "a" * 12, "name": job.name, "status": "finished", "axes": axes, "started": ""}
    metrics = {"knn-v1": {"accuracy": 0.79, "n": 10}, "linear-v1": {"accuracy": 0.812, "n": 10}}
    (job.folder / "record.json").write_text(json.dumps(record | {"metrics": metrics}))
    return JobResult(job, 0, 454.0)


def test_lines_tell_stage_rate_and_time_left_and_none_is_printed_twice(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    report = ProgressLines(every=1)
    report([], [job], 2)
    report([], [job], 2)
    train(job, 10)
    report([], [job], 2)
    report([], [job], 2)
    write_stage(job.folder, "evaluating kNN")
    report([], [job], 2)
    report([], [job], 2)
    report([finish(job)], [], 2)
    report([finish(job)], [], 2)
    assert capsys.readouterr().out.splitlines() == [
        "[  0/2]        mae-s0-0123  starting",
        "[  0/2]        mae-s0-0123  training 10/40  206 images/s  1 min 15 s left",
        "[  0/2]        mae-s0-0123  evaluating kNN",
        "[  1/2] done   mae-s0-0123  7 min 34 s  kNN 79.0 %, linear 81.2 %",
    ]


def test_a_failed_job_is_reported_with_its_last_line_and_its_log(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    job.log.write_text("step 1/40\nThe loss is \x1b[31mNaN.\n")
    ProgressLines()([JobResult(job, 1, 3.0)], [], 1)
    told = capsys.readouterr().out
    assert told.startswith("[  1/1] FAILED mae-s0-0123  3 s  The loss is \ufffd[31mNaN.")
    assert str(job.log) in told


def test_a_terminal_has_one_line_per_running_job_with_bar_stage_rate_and_time_left(job: Job) -> None:
    other = Job("mae-s1-4567", [], job.log.parent.parent / "mae-s1-4567" / "log.txt")
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=110, color_system=None, legacy_windows=False)
    with LiveProgress(console) as report:
        train(job, 10)
        report([], [job, other], 3)
        *lines, summary = drawn(report)
        assert [line.split()[0] for line in lines] == ["mae-s0", "mae-s1"]
        assert "━━━━━" in lines[0]
        assert "training" in lines[0]
        assert "206 images/s" in lines[0]
        assert "1 min 15 s left" in lines[0]
        assert "starting" in lines[1]
        assert summary.startswith("0 of 3 done, 2 running")
        report([finish(job)], [other], 3)
        assert len(drawn(report)) == 2
    assert "done   mae-s0-0123  7 min 34 s  kNN 79.0 %, linear 81.2 %" in screen.getvalue()


def test_a_narrow_terminal_shortens_names_only(job: Job) -> None:
    long = Job("localmim-vit_micro-d4-photos-s1-224d7a56782d", [], job.log)
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    with LiveProgress(console) as report:
        train(long, 10)
        report([], [long], 1)
        line = drawn(report, width=80)[0]
    assert line.startswith("localmim-")
    assert line.endswith("training  206 images/s  1 min 15 s left")


def drawn(report: LiveProgress, width: int = 110) -> list[str]:
    """The lines of the live part of the display."""
    screen = io.StringIO()
    Console(file=screen, width=width, color_system=None).print(report.live.renderable)
    return [line.strip() for line in screen.getvalue().splitlines()]


def test_two_running_jobs_of_the_same_short_name_keep_their_identities(job: Job) -> None:
    twin = Job("mae-s0-4567", [], job.log.parent.parent / "mae-s0-4567" / "log.txt")
    console = Console(file=io.StringIO(), force_terminal=True, width=110, color_system=None)
    with LiveProgress(console) as report:
        report([], [job, twin], 2)
        assert [line.split()[0] for line in drawn(report)[:2]] == ["mae-s0-0123", "mae-s0-4567"]


def test_the_progress_of_an_earlier_attempt_is_not_shown(job: Job) -> None:
    train(job, 39)
    long_ago = time.time() - 3600
    os.utime(job.folder / "progress.json", (long_ago, long_ago))
    console = Console(file=io.StringIO(), force_terminal=True, width=110, color_system=None)
    with LiveProgress(console) as report:
        report([], [job], 1)
        assert "starting" in drawn(report)[0]


def test_without_a_terminal_there_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_progress(), ProgressLines)  # pytest captures the output
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_progress(), ProgressLines)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(open_progress(), LiveProgress)


def test_a_stage_keeps_the_steps_and_drops_rate_and_time_left(job: Job) -> None:
    train(job, 40)
    write_stage(job.folder, "evaluating kNN")
    progress = read_progress(job.folder)
    assert (progress.stage, progress.step, progress.total) == ("evaluating kNN", 40, 40)
    assert progress.images_per_second is progress.seconds_left is None
