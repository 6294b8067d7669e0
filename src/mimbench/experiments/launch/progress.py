"""Shows the progress of a sweep: live in a terminal, otherwise as lines of which none is printed twice."""

import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from rich.console import Console

from mimbench.core.text import printable
from mimbench.experiments.launch.pool import Job, JobResult
from mimbench.experiments.scores import format_scores
from mimbench.runs.progress import RunProgress, duration, read_progress


class Progress(ABC):
    """Context manager; called with the results so far, the running jobs, their number, and why others wait.

    Attributes:
        interval: Seconds between two calls.
    """

    interval = 2.0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    @abstractmethod
    def __call__(
        self, results: Sequence[JobResult], running: Sequence[Job], total: int, waiting: Sequence[str] = ()
    ) -> None: ...


class ProgressLines(Progress):
    """A line for every job that ends, and regularly one for every job that has got further.

    Args:
        every: Number of calls between two reports about running jobs.
    """

    def __init__(self, every: int = 15) -> None:
        self.every = every
        self.num_reported = 0
        self.calls = 0
        self.printed: dict[str, str] = {}

    def __call__(
        self, results: Sequence[JobResult], running: Sequence[Job], total: int, waiting: Sequence[str] = ()
    ) -> None:
        for result in results[self.num_reported :]:
            self._print(describe_result(result), len(results), total)
        ended = len(results) > self.num_reported
        self.num_reported = len(results)
        self.calls += 1
        if ended or self.calls % self.every:
            return
        for job in running:
            text = f"       {job.name}  {describe_progress(read_progress(job.folder))}"
            self._print_new(job.name, text, results, total)
        if waiting:
            self._print_new("", describe_waiting(waiting), results, total)

    def _print_new(self, key: str, text: str, results: Sequence[JobResult], total: int) -> None:
        if self.printed.get(key) != text:
            self.printed[key] = text
            self._print(text, len(results), total)

    @staticmethod
    def _print(text: str, done: int, total: int) -> None:
        print(f"[{done:>3}/{total}] {text}", flush=True)


def open_progress(every: int = 15) -> Progress:
    """The progress display for this process's standard output.

    Args:
        every: See `ProgressLines`.
    """
    console = Console(highlight=False)
    if not sys.stdout.isatty() or console.is_dumb_terminal:
        return ProgressLines(every)
    from mimbench.experiments.launch.live import LiveProgress

    return LiveProgress(console)


def describe_result(result: JobResult) -> str:
    """One line about a job that has ended: its duration and scores, or why it failed and the log."""
    name, took = result.job.name, duration(result.seconds)
    if not result.ok:
        reason = result.note or printable(read_last_line(result.job.log))
        return f"FAILED {name}  {took}  {reason}  (log: {result.job.log})"
    scores = ""
    with suppress(ValueError, OSError):
        scores = format_scores(result.job.folder)
    return f"done   {name}  {took}  {scores}".rstrip()


def describe_progress(progress: RunProgress) -> str:
    """What a run does: stage, steps, rate and remaining time, as far as known."""
    if progress.stage is None and progress.step is None:
        return "starting"
    parts = [progress.stage or "training"]
    if progress.images_per_second is not None:
        parts[0] += f" {progress.step}/{'?' if progress.total is None else progress.total}"
        parts.append(f"{progress.images_per_second:.0f} images/s")
    if progress.seconds_left is not None:
        parts.append(f"{duration(max(0.0, progress.seconds_left))} left")
    return "  ".join(parts)


def describe_waiting(waiting: Sequence[str]) -> str:
    """How many jobs wait, and why."""
    return f"{len(waiting)} waiting ({', '.join(dict.fromkeys(waiting))})"


def read_last_line(log: Path) -> str:
    """The last line of the log of a job that has failed, shortened to 160 characters, or why there may be none."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    if lines:
        return lines[-1][:160]
    full = log.parent.exists() and shutil.disk_usage(log.parent).free == 0
    return "No space left on device" if full else "without a message"
