"""The state of a sweep as a table in the terminal."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from mimbench.cli.plan_table import COLORS
from mimbench.core.text import printable
from mimbench.experiments.status import RunStatus
from mimbench.runs.progress import TRAINING, duration
from mimbench.runs.state import State

WIDTH = 140


def render(directory: Path, runs: Sequence[RunStatus]) -> Group:
    """One row per run: state, progress, rate, time left, error and log file."""
    title = Text(printable(str(directory)))
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), title=title, title_justify="left")
    table.add_column("run", overflow="fold", min_width=30)
    table.add_column("state", no_wrap=True)
    for column in ("epoch", "step", "images/s", "left"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("error, log", overflow="fold")
    for run in runs:
        state = Text(run.state, style=COLORS.get(run.state, ""))
        table.add_row(Text(run.name), state, *_progress(run), _remarks(run, directory))
    states = Counter(run.state for run in runs)
    counts = ", ".join(f"{count} {state}" for state, count in states.most_common())
    total = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    return Group(table, Text(f"{total}: {counts}.{_advice(states, directory)}\n"))


def _advice(states: Counter[State], directory: Path) -> str:
    """How the runs that have ended without a result are run again; empty if there are none."""
    if states[State.FAILED] + states[State.LOST]:
        return f" `mimbench retry {directory}` runs failed and lost runs again."
    if states[State.INTERRUPTED]:
        return f" `mimbench retry --all {directory}` continues interrupted runs and starts planned ones."
    return ""


def _progress(run: RunStatus) -> list[str]:
    progress = run.progress
    if progress.step is None or run.state in (State.REFUSED, State.PLANNED):
        return [""] * 4
    epoch = f"{progress.step / progress.steps_per_epoch:.1f}" if progress.steps_per_epoch else ""
    step = f"{progress.step}/{'?' if progress.total is None else progress.total}"
    rate = "" if progress.images_per_second is None else f"{progress.images_per_second:.0f}"
    return [epoch, step, rate, "" if run.state != State.RUNNING else duration(progress.seconds_left_now)]


def _remarks(run: RunStatus, directory: Path) -> Text:
    """The error, what follows training, and the log file unless the run has finished."""
    lines = [run.error] if run.error else []
    if run.state == State.RUNNING and run.progress.stage not in (None, TRAINING):
        lines.append(run.progress.stage)
    if run.log is not None and run.state != State.FINISHED:
        lines.append(str(run.log.relative_to(directory) if run.log.is_relative_to(directory) else run.log))
    return Text("\n".join(lines))
