"""Runs jobs as separate processes, a given number at a time."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

# Variables that would make a job a rank of another training, or set its seed.
_RANK_VARIABLES = (
    *("LOCAL_RANK", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT"),
    *("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID"),
    "PL_GLOBAL_SEED",
)
_NOT_STARTED = 127  # as in a shell


class SweepFailed(Exception):
    """A run, or some runs of a sweep, did not finish; the message says which and why."""


@dataclass(frozen=True)
class Job:
    """A command.

    Attributes:
        log: The file to which its output is appended.
        directory: Where it writes progress and results; None is the folder of its log.
    """

    name: str
    command: Sequence[str]
    log: Path
    directory: Path | None = None

    @property
    def folder(self) -> Path:
        return self.directory or self.log.parent


@dataclass(frozen=True)
class JobResult:
    """How a job ended.

    Attributes:
        returncode: Exit status; -N for a job that was ended by signal N.
        note: A reason that is not in the log.
    """

    job: Job
    returncode: int
    seconds: float
    note: str = ""

    @property
    def ok(self) -> bool:
        return self.returncode == 0


@runtime_checkable
class Process(Protocol):
    """The process of a job and leader of its process group; `subprocess.Popen` or a class with these methods."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...


@dataclass
class _Running:
    job: Job
    slot: int
    process: Process
    started: float


Start = Callable[[Job, Mapping[str, str]], Process]
"""Starts a job with additional environment variables; raises OSError if that fails."""

Report = Callable[[Sequence[JobResult], Sequence[Job], int], None]
"""Called repeatedly with the results so far, the running jobs and the total number of jobs."""


def drop_rank_variables(environment: Mapping[str, str], keep: str | None = None) -> dict[str, str]:
    """Returns the environment without variables that make a process a rank of a distributed training.

    Empty entries of PYTHONPATH are removed too: Python reads them as the working directory, even with -P.

    Args:
        keep: Prefix of variables that are not removed.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name not in _RANK_VARIABLES or (keep is not None and name.startswith(keep))
    }
    if "PYTHONPATH" in kept:
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, kept["PYTHONPATH"].split(os.pathsep)))
    return kept


def start_process(job: Job, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Starts a job as a new process, with the environment of this process and additional variables."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("ab") as log:
        return subprocess.Popen(
            job.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=drop_rank_variables(os.environ) | dict(variables),
            start_new_session=True,  # Ctrl-C reaches only this process, which passes it on
        )


def run_jobs(
    jobs: Sequence[Job],
    slots: int,
    environment: Callable[[int], dict[str, str]],
    report: Report,
    interval: float = 2.0,
    start: Start = start_process,
    taken: Callable[[Job], bool] = lambda job: False,
) -> list[JobResult]:
    """Runs all jobs, `slots` at a time; a job that fails does not affect the others.

    Jobs that processes outside of this call work on are left for the end and run when those have ended.

    Ctrl-C is passed on to the running jobs, which save and stop; no further jobs are started. SIGTERM and SIGHUP are
    handled like Ctrl-C, since the jobs would otherwise continue unsupervised. A second Ctrl-C kills the jobs.

    Args:
        environment: Returns the additional environment variables of a slot, given its number.
        report: Called every `interval` seconds and whenever a job ends.
        start: Starts a job; see also `fork_server`.
        taken: Whether another process works on a job that is not running here.

    Raises:
        KeyboardInterrupt: After an interrupt, when all running jobs have ended.
        ValueError: `slots` is less than 1.
    """
    if slots < 1:
        raise ValueError(f"slots is {slots}; jobs need at least one slot.")
    with _interruptible():
        return _run_all(jobs, slots, environment, report, interval, start, taken)


def _run_all(
    jobs: Sequence[Job],
    slots: int,
    environment: Callable[[int], dict[str, str]],
    report: Report,
    interval: float,
    start: Start,
    taken: Callable[[Job], bool],
) -> list[JobResult]:
    waiting, running, results = list(jobs), list[_Running](), list[JobResult]()
    last_report, num_reported, told = 0.0, 0, False
    try:
        while waiting or running:
            while len(running) < slots and (job := next((job for job in waiting if not taken(job)), None)) is not None:
                free = next(s for s in range(slots) if s not in {r.slot for r in running})
                waiting.remove(job)
                try:
                    running.append(_Running(job, free, start(job, environment(free)), time.monotonic()))
                except OSError as error:
                    print(f"{job.name} could not be started: {error}", file=sys.stderr)
                    results.append(JobResult(job, _NOT_STARTED, 0.0))
            if waiting and not running and not told:
                told = True
                print(f"Another process works on the remaining runs ({len(waiting)}); waiting for it.", flush=True)
            for result in _remove_ended(running):
                if not result.ok and taken(result.job):  # two processes started it at the same time
                    waiting.append(result.job)
                else:
                    results.append(result)
            if len(results) > num_reported or time.monotonic() - last_report > interval:
                num_reported = len(results)
                report(results, [r.job for r in running], len(jobs))
                last_report = time.monotonic()
            time.sleep(0.1 if running else 1.0)
    except BaseException:
        _stop(running)
        raise
    return results


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turns SIGTERM and SIGHUP into KeyboardInterrupt, so that this process does not end before its jobs."""
    former = {}
    if threading.current_thread() is threading.main_thread():
        numbers = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
        former = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _remove_ended(running: list[_Running]) -> Iterator[JobResult]:
    """Removes the jobs that have ended from `running` and yields their results."""
    for entry in list(running):
        code = entry.process.poll()
        if code is not None:
            running.remove(entry)
            yield JobResult(entry.job, code, time.monotonic() - entry.started)


def _stop(running: Sequence[_Running], patience: float = 60.0) -> None:
    """Interrupts all jobs and waits for them; kills those that have not ended after `patience` seconds."""
    for entry in running:
        entry.process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + patience
    for entry in running:
        try:
            entry.process.wait(max(0.1, deadline - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            deadline = 0.0  # after a second Ctrl-C, the other jobs are killed at once too
            with suppress(ProcessLookupError):  # it has just ended
                os.killpg(entry.process.pid, signal.SIGKILL)
            entry.process.wait()
            print(f"{entry.job.name} did not stop in time and was killed.", file=sys.stderr)
