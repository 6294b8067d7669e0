"""The report on a terminal of 100 columns: tables, findings, what did not finish."""

from itertools import groupby, islice

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mimbench.reporting import numbers, prose, tables
from mimbench.reporting.collect import Sweep
from mimbench.reporting.runs import UNTRAINED, Setting
from mimbench.reporting.statistics import BETTER, NOISE, WORSE, Difference
from mimbench.reporting.summary import Summary, protocols

WIDTH = 100
# Least widths of columns, and for accuracies the largest.
_METHOD, _ACCURACY, _GAIN, _COST = 9, (12, 16), 12, 8
_MAX_LISTED = 12
_MAX_NAMED = 6
_COLOURS = {BETTER: "green", WORSE: "red", NOISE: "dim"}


def show(sweep: Sweep, summaries: list[Summary], console: Console) -> None:
    """Tables first and conclusions last, where the eye is when the command ends."""
    names = list(protocols(summaries).items())
    for setting, group in groupby(summaries, key=lambda summary: summary.condition.setting):
        rows = list(group)
        # Two protocols fit into 100 columns; more go into further tables.
        for start in range(0, max(len(names), 1), 2):
            console.print()
            console.print(_table(setting, rows, dict(names[start : start + 2])))
    console.print(Text(numbers.LEGEND, style="dim"))
    for sentence in prose.answer(summaries):
        console.print(Text(f"\n{sentence}", style="bold"))
    for setting, sentences in prose.conclusions(summaries).items():
        console.print(Text(f"\n{setting}", style="bold"))
        for sentence in sentences:
            console.print(Text(f"  {sentence}"))
    console.print(Text(f"\n{sweep.name}: {prose.state(sweep)}", style="bold"))
    _unfinished(sweep, console)
    for warning in sweep.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))


def _table(setting: Setting, rows: list[Summary], labels: dict[str, str]) -> Table:
    cells = [_cells(summary, labels) for summary in rows]
    headings = ["method", *(heading for label in labels.values() for heading in (f"{label} %", "vs untrained"))]
    table = Table(title=str(setting), title_justify="left", title_style="bold", box=SIMPLE_HEAD, show_edge=False)
    table.padding = (0, 1, 0, 0)
    for heading, width in zip(headings, _widths(cells, len(labels)), strict=True):
        table.add_column(heading, overflow="fold", width=width)
    table.add_column("FLOPs\nimages/s", no_wrap=True, justify="right", width=_COST)
    table.add_column("minutes\nruns", no_wrap=True, justify="right", width=_COST)
    for row in cells:
        table.add_row(*row)
    return table


def _widths(rows: list[list[Text]], num_protocols: int) -> list[int]:
    """Of the method and the protocols: intervals stay whole, names and accuracies fold in what is left."""
    longest = [max(len(line) for row in rows for line in row[at].plain.split("\n")) for at in range(len(rows[0]))]
    gains = [max(_GAIN, longest[2 + 2 * at]) for at in range(num_protocols)]
    left = WIDTH - sum(gains) - 2 * _COST - 2 * len(rows[0])
    accuracy = max(_ACCURACY[0], min(_ACCURACY[1], (left - _METHOD) // max(num_protocols, 1)))
    method = min(max(_METHOD, longest[0]), left - num_protocols * accuracy)
    return [method, *(width for gain in gains for width in (accuracy, gain))]


def _cells(summary: Summary, labels: dict[str, str]) -> list[Text]:
    cells = [Text(summary.condition.label)]
    for protocol in labels:
        estimate = summary.estimates.get(protocol)
        cells.append(_two_lines(numbers.accuracy(estimate, summary.planned), numbers.accuracy_interval(estimate)))
        cells.append(_gain(summary, summary.differences.get(protocol)))
    cells.append(_two_lines(numbers.flops(summary.training_flops), numbers.rate(summary.images_per_second), style=""))
    finished = f"{summary.counts['finished']}/{summary.planned}"
    complete = summary.counts["finished"] == summary.planned > 0
    runs = "refused" if summary.planned == 0 else finished
    cells.append(_two_lines(numbers.minutes(summary.train_seconds), runs, style="" if complete else "bold red"))
    return cells


def _gain(summary: Summary, gain: Difference | None) -> Text:
    if summary.condition.method == UNTRAINED:
        return Text("baseline", style="dim")
    cell = _two_lines(numbers.gain(gain), numbers.gain_interval(gain))
    if gain is not None:
        cell.stylize(_COLOURS[gain.verdict], 0, len(numbers.gain(gain)))
    return cell


def _two_lines(first: str, second: str, style: str = "dim") -> Text:
    return Text.assemble(first, "\n", (second, style))


def _unfinished(sweep: Sweep, console: Console) -> None:
    groups = tables.reasons(sweep.runs)
    for (status, error), runs in islice(groups.items(), _MAX_LISTED):
        console.print(Text.assemble("  ", (status, "red"), f" {len(runs)}" + (f": {error}" if error else "")))
        rest = f" and {len(runs) - _MAX_NAMED} more" if len(runs) > _MAX_NAMED else ""
        console.print(Text(f"    {', '.join(run.name for run in runs[:_MAX_NAMED])}{rest}", style="dim"))
    if len(groups) > _MAX_LISTED:
        console.print(Text(f"  and {len(groups) - _MAX_LISTED} more reasons, all in the report"))
