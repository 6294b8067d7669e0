"""Prints the progress of a sweep: a line for every job that ends, and regularly one for those that run."""

from collections.abc import Sequence
from pathlib import Path

from mimbench.experiments.launch.pool import Job, JobResult


class ProgressLines:
    """Called with the results so far, the running jobs, the number of jobs, and the reasons why others wait.

    Args:
        every: Number of calls between two lines about running jobs.
    """

    def __init__(self, every: int = 8) -> None:
        self.every = every
        self.num_reported = 0
        self.calls = 0

    def __call__(
        self, results: Sequence[JobResult], running: Sequence[Job], total: int, waiting: Sequence[str] = ()
    ) -> None:
        for result in results[self.num_reported :]:
            how = "done  " if result.ok else "FAILED"
            what = result.note or read_last_line(result.job.log)
            tail = "" if result.ok else f"  {what}  (log: {result.job.log})"
            self._print(f"{how} {result.job.name}  {result.seconds:.0f} s{tail}", len(results), total)
        ended = len(results) > self.num_reported
        self.num_reported = len(results)
        self.calls += 1
        if not ended and self.calls % self.every == 0:
            parts = [f"{job.name}: {read_last_line(job.log)}" for job in running]
            parts += [f"{len(waiting)} waiting ({', '.join(dict.fromkeys(waiting))})"] if waiting else []
            self._print("  ".join(parts), len(results), total)

    @staticmethod
    def _print(text: str, done: int, total: int) -> None:
        print(f"[{done:>3}/{total}] {text}", flush=True)


def read_last_line(log: Path) -> str:
    """The last line of a log, shortened to 160 characters."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1][:160] if lines else "starting"
