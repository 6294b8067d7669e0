"""Lines about a sweep's progress: every end, and now and then what runs."""

from collections.abc import Sequence
from pathlib import Path

from mimbench.sweeps import Job, JobResult


class ProgressLines:
    """To be called with the results so far, the jobs that run, the number of jobs and what others wait for.

    Args:
        every: After how many calls to say what runs.
    """

    def __init__(self, every: int = 8) -> None:
        self.every = every
        self.told = 0
        self.calls = 0

    def __call__(
        self, results: Sequence[JobResult], running: Sequence[Job], total: int, waiting: Sequence[str] = ()
    ) -> None:
        for result in results[self.told :]:
            how = "done  " if result.ok else "FAILED"
            what = result.note or last_line(result.job.log)
            tail = "" if result.ok else f"  {what}  (log: {result.job.log})"
            self._print(f"{how} {result.job.name}  {result.seconds:.0f} s{tail}", len(results), total)
        ended = len(results) > self.told
        self.told = len(results)
        self.calls += 1
        if not ended and self.calls % self.every == 0:
            parts = [f"{job.name}: {last_line(job.log)}" for job in running]
            parts += [f"{len(waiting)} waiting ({', '.join(dict.fromkeys(waiting))})"] if waiting else []
            self._print("  ".join(parts), len(results), total)

    @staticmethod
    def _print(text: str, done: int, total: int) -> None:
        print(f"[{done:>3}/{total}] {text}", flush=True)


def last_line(log: Path) -> str:
    """What a job said last."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1][:160] if lines else "starting"
