"""Runs jobs as processes of their own, a given number at a time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# A job must not take itself for a rank of somebody else's training.
_FOREIGN = ("LOCAL_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "GROUP_RANK")


class SweepFailed(Exception):
    """Some runs did not finish; the message says which."""


@dataclass(frozen=True)
class Job:
    """A command and where its output goes."""

    name: str
    command: Sequence[str]
    log: Path


@dataclass(frozen=True)
class JobResult:
    """How a job ended; 0 is success, a negative code the signal that ended it."""

    job: Job
    returncode: int
    seconds: float

    @property
    def ok(self) -> bool:
        return self.returncode == 0


@dataclass
class _Running:
    job: Job
    slot: int
    process: subprocess.Popen[bytes]
    started: float


Report = Callable[[Sequence[JobResult], Sequence[Job], int], None]
"""Called now and then with the results so far, the jobs that run and the number of jobs in all."""


def run_jobs(
    jobs: Sequence[Job],
    slots: int,
    environment: Callable[[int], dict[str, str]],
    report: Report,
    interval: float = 2.0,
) -> list[JobResult]:
    """Runs all jobs, `slots` at a time; what happens to one does not touch the others.

    Ctrl-C is passed on to the running jobs, which save and stop; the rest is not started.

    Args:
        environment: Extra environment variables of a slot, by its number.
        report: Told about progress every `interval` seconds and at every end.

    Raises:
        KeyboardInterrupt: After all running jobs have ended.
    """
    waiting, running, results = list(jobs), list[_Running](), list[JobResult]()
    last = 0.0
    try:
        while waiting or running:
            while waiting and len(running) < slots:
                free = next(s for s in range(slots) if s not in {r.slot for r in running})
                running.append(_start(waiting.pop(0), free, environment(free)))
            ended = list(_reap(running, results))
            if ended or time.monotonic() - last > interval:
                report(results, [r.job for r in running], len(jobs))
                last = time.monotonic()
            time.sleep(0.1)
    except KeyboardInterrupt:
        _stop(running)
        raise
    return results


def _start(job: Job, slot: int, extra: dict[str, str]) -> _Running:
    job.log.parent.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if key not in _FOREIGN}
    with job.log.open("ab") as log:
        process = subprocess.Popen(
            job.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=kept | extra,
            start_new_session=True,  # the terminal's Ctrl-C reaches this process alone, which passes it on
        )
    return _Running(job, slot, process, time.monotonic())


def _reap(running: list[_Running], results: list[JobResult]) -> Iterator[JobResult]:
    for entry in list(running):
        code = entry.process.poll()
        if code is not None:
            running.remove(entry)
            results.append(JobResult(entry.job, code, time.monotonic() - entry.started))
            yield results[-1]


def _stop(running: Sequence[_Running], patience: float = 60.0) -> None:
    for entry in running:
        entry.process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + patience
    for entry in running:
        try:
            entry.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            entry.process.kill()
            print(f"{entry.job.name} did not stop within {patience:.0f} s and was killed.", file=sys.stderr)
