"""Waits for SLURM jobs and tells how they are, whatever happens to some of them."""

import time
from collections.abc import Mapping
from pathlib import Path

from mimbench.cli.bookkeeping import Bookkeeping
from mimbench.cli.progress import ProgressLines, last_line
from mimbench.sweeps import Job, JobResult
from mimbench.sweeps.slurm import JobState, Submission, job_states

_FORGOTTEN = 3  # answers without a job after which it is over: right after its submission SLURM may not list it yet


def watch(jobs: Mapping[Path, Submission], interval: float = 5.0) -> dict[Path, str]:
    """Returns when no job waits or runs any more: how those ended that did not finish, by the run's directory.

    A run has finished when its record says so, and a job is over when SLURM says so, so that neither a cancelled job
    nor one of a cluster without accounts is waited for in vain. While SLURM does not answer, nothing is decided.

    Args:
        interval: Seconds between two questions to SLURM.
    """
    start, report = time.monotonic(), ProgressLines(every=12)
    open_jobs, missing = dict(jobs), dict.fromkeys(jobs, 0)
    results: list[JobResult] = []
    failed: dict[Path, str] = {}
    while True:
        states = job_states(submission.job for submission in open_jobs.values())
        for directory, submission in list(open_jobs.items()):
            if states is None:
                break
            state = states.get(submission.job)
            missing[directory] = missing[directory] + 1 if state is None else 0
            over = missing[directory] >= _FORGOTTEN if state is None else not state.live
            if over or Bookkeeping.finished(directory):
                del open_jobs[directory]
                results.append(result := _result(directory, submission, state, time.monotonic() - start))
                failed |= {} if result.ok else {directory: result.note}
        named = {d: states[s.job] for d, s in open_jobs.items() if states and s.job in states}
        running = [Job(d.name, [], d / "log.txt") for d, state in named.items() if state.name == "RUNNING"]
        report(results, running, len(jobs), [s.reason or s.name for s in named.values() if s.name != "RUNNING"])
        if not open_jobs:
            return failed
        time.sleep(interval)


def _result(directory: Path, submission: Submission, state: JobState | None, seconds: float) -> JobResult:
    log = directory / "log.txt"
    log = log if log.exists() else Path(submission.output)
    job = Job(directory.name, [], log)
    if Bookkeeping.finished(directory):
        return JobResult(job, 0, seconds)
    how = "is gone" if state is None else f"ended as {state.name}"
    note = f"Job {submission.job} {how}: {last_line(log)}"
    Bookkeeping.lost(directory, note)
    return JobResult(job, 1, seconds, note)
