"""The plan of a sweep as a table in the terminal."""

from collections.abc import Callable, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mimbench.experiments.planning.plan import EstimatedCost, EstimatedRun, Totals, totals
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
    for column in ("parameters", "tokens", "FLOPs/image", "steps", "training\nFLOPs", "disk", "hours"):
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
    return [*parts, steps, power(cost.training_flops), amount(cost.disk, "B"), _device_hours(cost)]


def _device_hours(cost: EstimatedCost) -> str:
    return f"{hours(cost.cpu_hours)} CPU" if cost.cpu_hours else f"{hours(cost.gpu_hours)} GPU"


def _parts(values: Mapping[str, int]) -> str:
    """Encoder + decoders + targets, in one unit; targets that cost nothing are left out."""
    shown = [value for name, value in values.items() if value or name != "targets"]
    return " + ".join(amount(value) for value in shown)


def _sums(runs: Sequence[EstimatedRun], console: Console) -> None:
    sums = totals(runs)
    states = ", ".join(f"{count} {state}" for state, count in sums.states.items())
    missing = f"; without {_runs(sums.unknown)} whose data are not available: --images N gives their number"
    sources = [run.cost for run in runs if run.cost is not None and run.cost.pace]
    console.print(
        f"\n{_runs(len(runs))}: {states}. {_known(sums.training_flops, sums.unknown, power)} training FLOPs, "
        f"{amount(sums.disk, 'B')} disk, {_sum_of_hours(sums)}{missing if sums.unknown else ''}."
    )
    console.print(
        "Parameters, tokens and forward FLOPs: encoder + decoders + targets. Hours: pre-training only.", style="dim"
    )
    for note in dict.fromkeys(
        [f"Pace {cost.pace}." for cost in sources] + [f"Data {c.data}." for c in sources if c.data]
    ):
        console.print(note, style="dim")


def _sum_of_hours(sums: Totals) -> str:
    """The hours of every kind of device; they are not added, since an hour of one is not worth an hour of another."""
    kinds = {"GPU": (sums.gpu_hours, sums.gpu_hours_left), "CPU": (sums.cpu_hours, sums.cpu_hours_left)}
    shown = [
        f"{hours(all_)} {kind}-hours, of which {hours(left)} remain" for kind, (all_, left) in kinds.items() if all_
    ]
    return ", ".join(shown) or f"{_known(0.0, sums.unknown, hours)} GPU-hours"


def _known(value: float, unknown: int, show_value: Callable[[float | None], str]) -> str:
    """A sum, or ? if it is the sum of unknown values only."""
    return show_value(value if value or not unknown else None)


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
