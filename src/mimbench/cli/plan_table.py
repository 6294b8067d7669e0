"""The plan of a sweep as a table in the terminal."""

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mimbench.experiments.planning.plan import EstimatedCost, EstimatedRun, totals
from mimbench.runs.records import AXES
from mimbench.runs.state import State

WIDTH = 140
COLORS = {
    State.FINISHED: "green",
    State.RUNNING: "cyan",
    State.QUEUED: "cyan",
    State.INTERRUPTED: "yellow",
    State.FAILED: "red",
    State.LOST: "red",
    State.REFUSED: "dim",
}


def show(runs: Sequence[EstimatedRun], console: Console) -> None:
    """Prints one row per run, then the totals and the source of the estimate."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("identity", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("run", overflow="fold")
    for column in ("parameters", "tokens", "FLOPs/image", "steps", "training\nFLOPs", "disk", "GPU-h"):
        table.add_column(column, justify="right", no_wrap=True)
    common = _common(runs)
    for run in runs:
        state = Text(run.state, style=COLORS.get(run.state, ""))
        table.add_row(run.identity, state, _title(run, common), *_numbers(run.cost))
    console.print(table)
    if common:
        console.print(Text(f"\nAll: {' '.join(common)}", style="dim"))
    _sums(runs, console)


def _common(runs: Sequence[EstimatedRun]) -> list[str]:
    """Settings that all runs share; rows do not repeat them."""
    further = [[f"{key}={value}" for key, value in run.axes.items() if key not in AXES] for run in runs]
    return [word for word in further[0] if all(word in words for words in further)]


def _title(run: EstimatedRun, common: Sequence[str]) -> Text:
    text = Text(f"{run.axes['method']} {run.axes['encoder']} d{run.axes['depth']} {run.axes['data']}")
    text.append(f" s{run.axes['seed']}")
    further = [f" {key}={value}" for key, value in run.axes.items() if key not in AXES]
    text.append("".join(word for word in further if word[1:] not in common), style="dim")
    if run.reason:
        text.append(f"\n{run.reason}", style="dim")
    return text


def _numbers(cost: EstimatedCost | None) -> list[str]:
    if cost is None:
        return [""] * 7
    parts = [_parts(values) for values in (cost.parameters, cost.tokens, cost.flops)]
    if not cost.training_flops_per_image:
        return [*parts, "", "", amount(cost.disk, "B"), ""]
    steps = "?" if cost.steps is None else f"{cost.steps:,}"
    return [*parts, steps, power(cost.training_flops), amount(cost.disk, "B"), hours(cost.gpu_hours)]


def _parts(values: Mapping[str, int]) -> str:
    """Encoder + decoders + targets, in one unit; targets that cost nothing are left out."""
    shown = [value for name, value in values.items() if value or name != "targets"]
    return " + ".join(amount(value) for value in shown)


def _sums(runs: Sequence[EstimatedRun], console: Console) -> None:
    sums = totals(runs)
    states = ", ".join(f"{count} {state}" for state, count in sums.states.items())
    unknown = f" (without {_runs(sums.unknown)} whose data are not available)" if sums.unknown else ""
    console.print(
        f"\n{_runs(len(runs))}: {states}. {power(sums.training_flops)} training FLOPs, {amount(sums.disk, 'B')} disk, "
        f"{hours(sums.gpu_hours)} GPU-hours, of which {hours(sums.gpu_hours_left)} remain{unknown}."
    )
    console.print(
        "Parameters, tokens and forward FLOPs: encoder + decoders + targets. GPU-hours: pre-training only.", style="dim"
    )
    for source in dict.fromkeys(run.cost.pace for run in runs if run.cost is not None and run.cost.pace):
        console.print(f"Pace {source}.", style="dim")


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def amount(value: float, unit: str = "") -> str:
    """Three digits and a metric prefix, such as 85.8M or 1.2GB."""
    for size, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{prefix}{unit}"
    return f"{value:.0f}{unit}"


def power(value: float | None) -> str:
    """Three digits and a power of ten, such as 1.12e12, as in reports."""
    return "?" if value is None else f"{value:.3g}".replace("e+", "e")


def hours(value: float | None) -> str:
    """Hours with at most three digits after rounding; whole hours from 100 on."""
    if value is None:
        return "?"
    if 0 < value < 0.01:
        return "< 0.01"
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"
