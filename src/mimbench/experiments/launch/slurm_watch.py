"""Waits for SLURM jobs and prints their states."""

import time
from collections.abc import Mapping
from pathlib import Path

from mimbench.experiments.launch.pool import Job, JobResult
from mimbench.experiments.launch.progress import Progress, open_progress, read_last_line
from mimbench.experiments.launch.slurm_jobs import JobState, Submission, job_states
from mimbench.experiments.recorder import RunRecorder
from mimbench.runs.directory import LOG

_MAX_MISSING = 3  # answers without a job until it counts as ended; SLURM may list a new job late


def watch(jobs: Mapping[Path, Submission], interval: float = 5.0) -> dict[Path, str]:
    """Waits until no job waits or runs; returns the reasons for runs that did not finish, by directory.

    A run has finished when its record says so, and its job has ended when SLURM says so; the wait therefore also ends
    for canceled jobs and on clusters without accounting. While SLURM does not answer, all jobs count as active.

    Args:
        interval: Seconds between two queries of SLURM.
    """
    with open_progress(every=12) as report:
        return _watch(jobs, interval, report)


def _watch(jobs: Mapping[Path, Submission], interval: float, report: Progress) -> dict[Path, str]:
    start = time.monotonic()
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
            ended = missing[directory] >= _MAX_MISSING if state is None else not state.live
            if ended or RunRecorder.is_finished(directory):
                del open_jobs[directory]
                results.append(result := _result(directory, submission, state, time.monotonic() - start))
                failed |= {} if result.ok else {directory: result.note}
        active = {d: states[s.job] for d, s in open_jobs.items() if states and s.job in states}
        running = [Job(d.name, [], d / LOG) for d, state in active.items() if state.name == "RUNNING"]
        report(results, running, len(jobs), [s.reason or s.name for s in active.values() if s.name != "RUNNING"])
        if not open_jobs:
            return failed
        time.sleep(interval)


def _result(directory: Path, submission: Submission, state: JobState | None, seconds: float) -> JobResult:
    log = directory / LOG
    log = log if log.exists() else Path(submission.output)
    job = Job(directory.name, [], log, directory)
    if RunRecorder.is_finished(directory):
        return JobResult(job, 0, seconds)
    how = "is gone" if state is None else f"ended as {state.name}"
    note = f"Job {submission.job} {how}: {read_last_line(log)}"
    RunRecorder.mark_lost(directory, note)
    return JobResult(job, 1, seconds, note)
