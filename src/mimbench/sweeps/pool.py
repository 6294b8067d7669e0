"""Runs jobs as processes of their own, a given number at a time."""

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

# A job must not take itself for a rank of somebody else's training, or take over a seed.
_FOREIGN = (
    *("LOCAL_RANK", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT"),
    *("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID"),
    "PL_GLOBAL_SEED",
)
_NOT_STARTED = 127  # as a shell says it


class SweepFailed(Exception):
    """A run, or some runs of a sweep, did not finish; the message says which and why."""


@dataclass(frozen=True)
class Job:
    """A command and where its output goes."""

    name: str
    command: Sequence[str]
    log: Path


@dataclass(frozen=True)
class JobResult:
    """How a job ended; 0 is success, a negative code the signal that ended it, a note says what its log cannot."""

    job: Job
    returncode: int
    seconds: float
    note: str = ""

    @property
    def ok(self) -> bool:
        return self.returncode == 0


@runtime_checkable
class Process(Protocol):
    """What a job runs in, which leads a group of its own: `subprocess.Popen`, or what behaves alike."""

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
"""Starts a job with extra environment variables; OSError where it cannot."""

Report = Callable[[Sequence[JobResult], Sequence[Job], int], None]
"""Called now and then with the results so far, the jobs that run and the number of jobs in all."""


def without_ranks(environment: Mapping[str, str], keep: str | None = None) -> dict[str, str]:
    """Variables without those that make a process a rank of a training.

    Args:
        keep: Beginning of names that stay nevertheless.
    """
    return {
        name: value
        for name, value in environment.items()
        if name not in _FOREIGN or (keep is not None and name.startswith(keep))
    }


def start_process(job: Job, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A process of its own for a job, with this one's environment and more."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("ab") as log:
        return subprocess.Popen(
            job.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=without_ranks(os.environ) | dict(variables),
            start_new_session=True,  # the terminal's Ctrl-C reaches this process alone, which passes it on
        )


def run_jobs(
    jobs: Sequence[Job],
    slots: int,
    environment: Callable[[int], dict[str, str]],
    report: Report,
    interval: float = 2.0,
    start: Start = start_process,
) -> list[JobResult]:
    """Runs all jobs, `slots` at a time; what happens to one does not touch the others.

    Ctrl-C is passed on to the running jobs, which save and stop; the rest is not started. So are SIGTERM and SIGHUP,
    as an interrupt, or jobs would be left behind that nobody watches. A second Ctrl-C kills.

    Args:
        environment: Extra environment variables of a slot, by its number.
        report: Told about progress every `interval` seconds and at every end.
        start: How a job is started; see also `fork_server`.

    Raises:
        KeyboardInterrupt: After all running jobs have ended.
        ValueError: There is no slot.
    """
    if slots < 1:
        raise ValueError(f"Jobs need at least one slot, got {slots}.")
    with _interruptible():
        return _run_all(jobs, slots, environment, report, interval, start)


def _run_all(
    jobs: Sequence[Job],
    slots: int,
    environment: Callable[[int], dict[str, str]],
    report: Report,
    interval: float,
    start: Start,
) -> list[JobResult]:
    waiting, running, results = list(jobs), list[_Running](), list[JobResult]()
    last, told = 0.0, 0
    try:
        while waiting or running:
            while waiting and len(running) < slots:
                free = next(s for s in range(slots) if s not in {r.slot for r in running})
                job = waiting.pop(0)
                try:
                    running.append(_Running(job, free, start(job, environment(free)), time.monotonic()))
                except OSError as error:
                    print(f"{job.name} could not be started: {error}", file=sys.stderr)
                    results.append(JobResult(job, _NOT_STARTED, 0.0))
            results += _ended(running)
            if len(results) > told or time.monotonic() - last > interval:
                told = len(results)
                report(results, [r.job for r in running], len(jobs))
                last = time.monotonic()
            time.sleep(0.1)
    except BaseException:
        _stop(running)
        raise
    return results


@contextmanager
def _interruptible() -> Iterator[None]:
    """Makes KeyboardInterrupt of the signals that would end this process and leave its jobs behind."""
    taken = {}
    if threading.current_thread() is threading.main_thread():
        wanted = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
        taken = {number: signal.signal(number, signal.default_int_handler) for number in wanted}
    try:
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


def _ended(running: list[_Running]) -> Iterator[JobResult]:
    """Takes the jobs that have ended out of `running`."""
    for entry in list(running):
        code = entry.process.poll()
        if code is not None:
            running.remove(entry)
            yield JobResult(entry.job, code, time.monotonic() - entry.started)


def _stop(running: Sequence[_Running], patience: float = 60.0) -> None:
    for entry in running:
        entry.process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + patience
    for entry in running:
        try:
            entry.process.wait(max(0.1, deadline - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            deadline = 0.0  # a second Ctrl-C is meant for all
            with suppress(ProcessLookupError):  # it has just ended
                os.killpg(entry.process.pid, signal.SIGKILL)
            entry.process.wait()
            print(f"{entry.job.name} did not stop in time and was killed.", file=sys.stderr)
