"""How the runs of a sweep are, read from their directories alone."""

import fcntl
import json
import platform
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mimbench.sweeps.slurm import JobState, Submission, job_states, read_submission

SILENCE = 600.0  # seconds after which a run on a host that cannot be asked is taken for lost
_STARTING = 60.0  # seconds that a run may take to its first record
ENDED = ("finished", "refused", "failed", "lost", "interrupted")


@dataclass(frozen=True)
class RunStatus:
    """One run, whether it has begun or not.

    Attributes:
        state: finished, running, queued (SLURM has it), interrupted (stopped by a signal), failed, lost (it ended
            without a word), planned (not begun) or refused (cannot exist).
        step: Optimiser steps done; `total` of the whole run. None where nobody knows.
        error: Why it ended, waits or cannot exist.
        log: Where its output is.
        launcher: Options of the SLURM launcher it was submitted with; None without SLURM.
    """

    name: str
    identity: str
    state: str
    directory: Path
    axes: Mapping[str, Any]
    overrides: tuple[str, ...]
    step: int | None = None
    total: int | None = None
    steps_per_epoch: int | None = None
    images_per_second: float | None = None
    seconds_left: float | None = None
    error: str = ""
    log: Path | None = None
    launcher: Mapping[str, Any] | None = field(default=None, repr=False)


def sweeps_below(directory: Path) -> list[Path]:
    """The directory itself if it is a sweep, else the sweeps in it.

    Raises:
        ValueError: There is none.
    """
    if not directory.is_dir():
        raise ValueError(f"There is no directory {directory}; give that of a sweep, the one with sweep.json.")
    candidates = [directory, *sorted(path for path in directory.iterdir() if path.is_dir())]
    if _is_sweep(directory):
        candidates = [directory]
    if (directory / "record.json").is_file():
        raise ValueError(f"{directory} is a single run; give the directory of its sweep, {directory.parent}.")
    if found := [path for path in candidates if _is_sweep(path)]:
        return found
    raise ValueError(f"{directory} holds no sweep: no sweep.json and no runs, neither in it nor one level below.")


def _is_sweep(directory: Path) -> bool:
    return (directory / "sweep.json").is_file() or any(directory.glob("*/record.json"))


def read_sweep(directory: Path) -> list[RunStatus]:
    """All runs of a sweep: the planned ones in their order, then others that left a record.

    Raises:
        ValueError: Its sweep.json cannot be read.
    """
    manifest = directory / "sweep.json"
    try:
        planned = json.loads(manifest.read_text())["runs"] if manifest.is_file() else []
        plans = {run["name"]: run for run in planned}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{manifest} cannot be read ({error}); call the sweep's command again.") from error
    others = sorted(path.parent.name for path in directory.glob("*/record.json"))
    names = list(dict.fromkeys([*plans, *others]))
    submissions = {name: found for name in names if (found := _submission(directory / name)) is not None}
    states = job_states(submission.job for submission in submissions.values()) if submissions else {}
    runs = [_read(directory / name, plans.get(name, {}), submissions.get(name), states) for name in names]
    return _without_doubles(runs)


def _without_doubles(runs: Iterable[RunStatus]) -> list[RunStatus]:
    """A refused plan whose run exists after all, under another name, is not listed twice."""
    listed = list(runs)
    known = {run.identity for run in listed if run.state != "refused"}
    return [run for run in listed if run.state != "refused" or run.identity not in known]


def _submission(directory: Path) -> Submission | None:
    try:
        return read_submission(directory)
    except (OSError, ValueError, TypeError):
        return None


def _read(
    directory: Path, plan: Mapping[str, Any], job: Submission | None, jobs: Mapping[str, JobState] | None
) -> RunStatus:
    record, progress = _json(directory / "record.json"), _json(directory / "progress.json")
    error = record.get("error") or {}
    run = RunStatus(
        name=directory.name,
        identity=record.get("identity") or plan.get("identity") or "",
        state=record.get("status") or ("refused" if plan.get("refused") else "planned"),
        directory=directory,
        axes=record.get("axes") or plan.get("axes") or {},
        overrides=tuple(plan.get("overrides") or record.get("overrides") or ()),
        error=plan.get("refused") or (f"{error.get('type')}: {error.get('message')}" if error else ""),
        log=next((path for path in (directory / "log.txt", Path(job.output) if job else None) if _exists(path)), None),
        launcher=None if job is None else job.launcher,
        **{key: progress.get(key) for key in ("step", "total", "steps_per_epoch", "images_per_second")},
    )
    if run.state in ("finished", "refused"):
        return run
    if job is not None and jobs is not None:
        return _by_slurm(run, progress, jobs.get(job.job))
    if job is not None and run.state == "planned":
        return replace(run, state="queued", error=f"job {job.job}; SLURM does not answer")
    if run.state == "planned" and job is None and run.log is not None and _age(run.log) > _STARTING:
        return _lost(run)  # it broke before it could say anything
    if run.state != "running":
        return run
    return _running(run, progress) if _alive(directory, record, progress) else _lost(run)


def _by_slurm(run: RunStatus, progress: Mapping[str, Any], state: JobState | None) -> RunStatus:
    if state is not None and state.live:
        if run.state == "running" and state.name == "RUNNING":
            return _running(run, progress)
        return replace(run, state="queued", error=" ".join(filter(None, (state.name, state.reason))))
    if run.state in ("running", "planned"):
        return _lost(run, "" if state is None else f"SLURM: {state.name}")
    return run


def _lost(run: RunStatus, error: str = "") -> RunStatus:
    """Says what is known instead of an error: the last words of the log."""
    lines = run.log.read_text(errors="replace").strip().splitlines() if run.log is not None else []
    return replace(run, state="lost", error=error or run.error or (lines[-1][:200] if lines else ""))


def _running(run: RunStatus, progress: Mapping[str, Any]) -> RunStatus:
    left = progress.get("seconds_left")
    age = _age(run.directory / "progress.json") if progress else 0.0
    return replace(run, seconds_left=None if left is None else max(0.0, left - age))


def _alive(directory: Path, record: Mapping[str, Any], progress: Mapping[str, Any]) -> bool:
    """Whether somebody works on a run that says so: its lock is held, or another host spoke not long ago."""
    if _locked(directory / ".lock"):
        return True
    host = progress.get("host") or (record.get("environment") or {}).get("host")
    if host in (None, platform.node()):
        return False
    return min(_age(directory / name) for name in ("progress.json", "record.json")) < SILENCE


def _locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # given back at once
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _age(path: Path) -> float:
    """Seconds since a file was written; infinite where there is none."""
    return time.time() - path.stat().st_mtime if path.is_file() else float("inf")


def _json(path: Path) -> dict[str, Any]:
    """What a file says, or nothing where it is missing or not whole."""
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _exists(path: Path | None) -> bool:
    return path is not None and path.is_file()
