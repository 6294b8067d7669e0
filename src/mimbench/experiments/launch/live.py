"""The live display of a sweep in a terminal: a line per running job, below the lines of those that have ended."""

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mimbench.core.text import printable
from mimbench.experiments.launch.pool import Job, JobResult
from mimbench.experiments.launch.progress import Progress, describe_result, describe_waiting
from mimbench.runs.progress import RunProgress, duration, read_progress


class LiveProgress(Progress):
    """Draws bar, stage, rate and remaining time of every running job; jobs that have ended become lasting lines."""

    interval = 0.5

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live = Live(console=console, auto_refresh=False)
        self.num_reported = 0
        self.begin = time.time()
        self.first_seen: dict[str, float] = {}

    def __enter__(self) -> "LiveProgress":
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def __call__(
        self, results: Sequence[JobResult], running: Sequence[Job], total: int, waiting: Sequence[str] = ()
    ) -> None:
        for result in results[self.num_reported :]:
            style = "green" if result.ok else "red"
            self.console.print(Text(describe_result(result), style=style), soft_wrap=True)
        self.num_reported = len(results)
        rows = [(_short_name(job.name, running), self._progress(job)) for job in running]
        summary = Text(self._summary(results, running, total, waiting), style="dim", no_wrap=True, overflow="ellipsis")
        self.live.update(Group(_table(rows, self.console.width), summary), refresh=True)

    def _progress(self, job: Job) -> RunProgress:
        """The progress of a job; that of an earlier attempt does not count."""
        begin = self.first_seen.setdefault(job.name, time.time())
        progress = read_progress(job.folder)
        return progress if time.time() - progress.age >= begin - 1.0 else RunProgress()

    def _summary(self, results: Sequence[JobResult], running: Sequence[Job], total: int, waiting: Sequence[str]) -> str:
        ended = Counter(result.ok for result in results)
        parts = [f"{ended[True]} of {total} done", f"{len(running)} running"]
        parts += [f"{ended[False]} failed"] if ended[False] else []
        parts += [describe_waiting(waiting)] if waiting else []
        return ", ".join([*parts, duration(time.time() - self.begin)])


def _table(rows: Sequence[tuple[str, RunProgress]], width: int) -> Table:
    """Name, bar, stage, rate and remaining time by job; in a narrow terminal the names are shortened."""
    cells = [_cells(progress) for _, progress in rows]
    widths = [max((len(row[column]) for row in cells), default=0) for column in range(3)]
    bar = 20 if width >= 100 else 10
    table = Table.grid(padding=(0, 2, 0, 0))
    longest = max((len(name) for name, _ in rows), default=0)
    rest = width - bar - sum(widths) - 10  # five columns are padded by two
    table.add_column(no_wrap=True, overflow="ellipsis", width=max(8, min(longest, rest)))
    for column in (bar, *widths):
        table.add_column(no_wrap=True, width=column)
    for (name, progress), texts in zip(rows, cells, strict=True):
        done, total = progress.step or 0, progress.total or 0
        drawn = ProgressBar(total=total, completed=min(done, total), width=bar) if total else ""
        table.add_row(Text(name), drawn, *texts)
    return table


def _cells(progress: RunProgress) -> tuple[str, str, str]:
    """Stage, rate and remaining time."""
    rate = "" if progress.images_per_second is None else f"{progress.images_per_second:.0f} images/s"
    left = progress.seconds_left_now
    remaining = "" if left is None else f"{duration(left)} left"
    return printable(progress.stage or "starting"), rate, remaining


def _short_name(name: str, running: Sequence[Job]) -> str:
    """The name without the identity at its end, unless two running jobs would be called the same."""
    short, _, _ = name.rpartition("-")
    return short if short and sum(job.name.startswith(f"{short}-") for job in running) == 1 else name
