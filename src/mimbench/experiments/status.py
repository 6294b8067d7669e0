"""States of the runs of a sweep, read from their directories and from SLURM."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mimbench.core.text import printable
from mimbench.experiments.launch.slurm_jobs import JobState, Submission, job_states, read_submission
from mimbench.runs import records
from mimbench.runs.directory import LOG, RECORD, SWEEP, is_sweep
from mimbench.runs.lock import is_alive
from mimbench.runs.manifest import PlannedRun, read_manifest
from mimbench.runs.progress import RunProgress, read_progress
from mimbench.runs.records import Record
from mimbench.runs.state import State

_END = 1 << 16  # bytes read from the end of a log
_STARTING = 60.0  # seconds in which a run must write its first record
ENDED = (State.FINISHED, State.REFUSED, State.FAILED, State.LOST, State.INTERRUPTED)


@dataclass(frozen=True)
class RunStatus:
    """The state of one run, started or not.

    Attributes:
        progress: How far it is; empty if unknown.
        error: Why it failed, waits or is refused.
        log: The file with its output.
        launcher: Options of the SLURM launcher that submitted it; None without SLURM.
    """

    name: str
    identity: str
    state: State
    directory: Path
    axes: Mapping[str, Any]
    overrides: tuple[str, ...]
    progress: RunProgress = field(default_factory=RunProgress)
    error: str = ""
    log: Path | None = None
    launcher: Mapping[str, Any] | None = field(default=None, repr=False)


def sweeps_below(directory: Path) -> list[Path]:
    """The directory itself if it is a sweep, else the sweeps in it.

    Raises:
        ValueError: It is neither a sweep nor a folder of sweeps.
    """
    if not directory.is_dir():
        raise ValueError(f"There is no directory {directory}; expected a sweep, which contains {SWEEP}.")
    candidates = [directory, *sorted(path for path in directory.iterdir() if path.is_dir())]
    if is_sweep(directory):
        candidates = [directory]
    if (directory / RECORD).is_file():
        raise ValueError(f"{directory} is a single run; give the directory of its sweep, {directory.parent}.")
    if found := [path for path in candidates if is_sweep(path)]:
        return found
    raise ValueError(f"{directory} contains no sweep; expected {SWEEP} or runs in it or one level below.")


def read_sweep(directory: Path) -> list[RunStatus]:
    """All runs of a sweep: planned runs in their order, then others with a record.

    Raises:
        ValueError: Its sweep.json cannot be read.
    """
    plans = {plan.name: plan for plan in read_manifest(directory).runs} if (directory / SWEEP).exists() else {}
    others = sorted(path.parent.name for path in directory.glob(f"*/{RECORD}"))
    names = list(dict.fromkeys([*plans, *others]))
    submissions = {name: found for name in names if (found := _submission(directory / name)) is not None}
    states = job_states(submission.job for submission in submissions.values()) if submissions else {}
    runs = [_read(directory / name, plans.get(name), submissions.get(name), states) for name in names]
    return _drop_duplicates(runs)


def _drop_duplicates(runs: Iterable[RunStatus]) -> list[RunStatus]:
    """Leaves out refused plans whose run exists under another name."""
    listed = list(runs)
    known = {run.identity for run in listed if run.state != State.REFUSED}
    return [run for run in listed if run.state != State.REFUSED or run.identity not in known]


def _submission(directory: Path) -> Submission | None:
    try:
        return read_submission(directory)
    except (OSError, ValueError, TypeError):
        return None


def _read(
    directory: Path, plan: PlannedRun | None, job: Submission | None, jobs: Mapping[str, JobState] | None
) -> RunStatus:
    record, error = _record(directory)
    refused = None if plan is None else plan.refused
    state = State.REFUSED if refused else State.PLANNED
    if record is not None:
        state = State(record.status)
        error = f"{record.error['type']}: {record.error['message']}" if record.error else ""
    run = RunStatus(
        name=printable(directory.name),
        identity=record.identity if record is not None else plan.identity if plan is not None else "",
        state=State.LOST if record is None and error else state,
        directory=directory,
        axes=record.axes if record is not None else plan.axes if plan is not None else {},
        overrides=tuple(plan.overrides if plan is not None else record.overrides if record is not None else ()),
        error=refused or error,
        log=_log(directory, job),
        launcher=None if job is None else job.launcher,
        progress=read_progress(directory),
    )
    if run.state in (State.FINISHED, State.REFUSED):
        return run
    if job is not None and jobs is not None:
        return _apply_job_state(run, jobs.get(job.job))
    if job is not None and run.state == State.PLANNED:
        return replace(run, state=State.QUEUED, error=f"job {job.job}; SLURM does not answer")
    if run.state == State.PLANNED and job is None and run.log is not None and _age(run.log) > _STARTING:
        return _lost(run)  # it ended before it could write a record
    return _lost(run) if run.state == State.RUNNING and not is_alive(directory) else run


def _apply_job_state(run: RunStatus, state: JobState | None) -> RunStatus:
    if state is not None and state.live:
        if run.state == State.RUNNING and state.name == "RUNNING":
            return run
        return replace(run, state=State.QUEUED, error=" ".join(filter(None, (state.name, state.reason))))
    if run.state in (State.RUNNING, State.PLANNED):
        return _lost(run, "" if state is None else f"SLURM: {state.name}")
    return run


def _lost(run: RunStatus, error: str = "") -> RunStatus:
    """A lost run; without a recorded error, the last line of its log stands for one."""
    lines = _read_end(run.log).strip().splitlines() if run.log is not None else []
    return replace(run, state=State.LOST, error=error or run.error or (lines[-1][:200] if lines else ""))


def _age(path: Path) -> float:
    """Seconds since a file was written; infinite if it is missing."""
    return time.time() - path.stat().st_mtime if path.is_file() else float("inf")


def _record(run: Path) -> tuple[Record | None, str]:
    """The record of a run, and why it cannot be read; an empty reason if there is none."""
    if not (run / RECORD).exists():
        return None, ""
    try:
        return records.read(run / RECORD), ""
    except ValueError as error:
        return None, str(error)


def _log(run: Path, job: Submission | None) -> Path | None:
    """The log of a run; before it exists, the output of its job, if that file is in the sweep's directory."""
    sweep = run.parent.resolve()
    output = [] if job is None else [path for path in [Path(job.output)] if path.resolve().is_relative_to(sweep)]
    return next((path for path in (run / LOG, *output) if path.is_file()), None)


def _read_end(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _END))
        return printable(file.read(_END).decode(errors="replace"))
