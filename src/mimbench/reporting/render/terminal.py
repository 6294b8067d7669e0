"""The report on a terminal of 100 columns: tables, conclusions, unfinished runs."""

from itertools import groupby, islice
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mimbench.reporting.collect import Sweep
from mimbench.reporting.notices import notices
from mimbench.reporting.render import formatting, sentences, tables
from mimbench.reporting.runs import UNTRAINED, Setting
from mimbench.reporting.statistics import BETTER, NOISE, WORSE, Difference
from mimbench.reporting.summary import Summary, protocols
from mimbench.runs.state import State

WIDTH = 100
# Minimum widths of columns; of accuracies also the maximum.
_METHOD, _ACCURACY, _GAIN, _COST = 9, (12, 16), 12, 8
_MAX_LISTED = 12
_MAX_NAMED = 6
_COLORS = {BETTER: "green", WORSE: "red", NOISE: "dim"}


def show(sweep: Sweep, summaries: list[Summary], console: Console) -> None:
    """Prints tables first and conclusions last, so that the conclusions are visible when the command ends."""
    names = list(protocols(summaries).items())
    for setting, group in groupby(summaries, key=lambda summary: summary.condition.setting):
        rows = list(group)
        # Two protocols fit into 100 columns; more go into further tables.
        for start in range(0, max(len(names), 1), 2):
            console.print()
            console.print(_table(setting, rows, dict(names[start : start + 2])))
    console.print(Text(formatting.LEGEND, style="dim"))
    for sentence in sentences.answer(summaries):
        console.print(Text(f"\n{sentence}", style="bold"))
    for setting, lines in sentences.conclusions(summaries).items():
        console.print(Text(f"\n{setting}", style="bold"))
        for sentence in lines:
            console.print(Text(f"  {sentence}"))
    console.print(Text(f"\n{sweep.name}: {sentences.state(sweep)}", style="bold"))
    _unfinished(sweep, console)
    for warning in (*sweep.warnings, *notices(sweep.runs)):
        console.print(Text(f"warning: {warning}", style="yellow"))


class _Cell(NamedTuple):
    """One or two lines of a table."""

    first: Text
    second: Text | None = None

    @property
    def width(self) -> int:
        return max(len(line) for line in self if line is not None)

    @property
    def text(self) -> Text:
        return self.first if self.second is None else Text("\n").join([self.first, self.second])


def _table(setting: Setting, rows: list[Summary], labels: dict[str, str]) -> Table:
    cells = [_cells(summary, labels) for summary in rows]
    headings = ["method", *(heading for label in labels.values() for heading in (f"{label} %", "vs untrained"))]
    table = Table(title=Text(str(setting)), title_justify="left", title_style="bold", box=SIMPLE_HEAD, show_edge=False)
    table.padding = (0, 1, 0, 0)
    for heading, width in zip(headings, _widths(cells, len(labels)), strict=True):
        table.add_column(Text(heading), overflow="fold", width=width)
    table.add_column("FLOPs\nimages/s", no_wrap=True, justify="right", width=_COST)
    table.add_column("minutes\nruns", no_wrap=True, justify="right", width=_COST)
    for row in cells:
        table.add_row(*(cell.text for cell in row))
    return table


def _widths(rows: list[list[_Cell]], num_protocols: int) -> list[int]:
    """Widths of the columns of method and protocols: differences are never wrapped, names and accuracies may be."""
    longest = [max(cell.width for cell in column) for column in zip(*rows, strict=True)]
    gains = [max(_GAIN, longest[2 + 2 * i]) for i in range(num_protocols)]
    left = WIDTH - sum(gains) - 2 * _COST - 2 * len(rows[0])
    accuracy = max(_ACCURACY[0], min(_ACCURACY[1], (left - _METHOD) // max(num_protocols, 1)))
    method = min(max(_METHOD, longest[0]), left - num_protocols * accuracy)
    return [method, *(width for gain in gains for width in (accuracy, gain))]


def _cells(summary: Summary, labels: dict[str, str]) -> list[_Cell]:
    cells = [_Cell(Text(summary.condition.label))]
    for protocol in labels:
        estimate = summary.estimates.get(protocol)
        accuracy, interval = formatting.accuracy(estimate, summary.planned), formatting.accuracy_interval(estimate)
        cells.append(_Cell(Text(accuracy), Text(interval, style="dim")))
        cells.append(_gain(summary, summary.differences.get(protocol)))
    flops, rate = formatting.flops(summary.training_flops), formatting.rate(summary.images_per_second)
    cells.append(_Cell(Text(flops), Text(rate)))
    finished = summary.counts[State.FINISHED]
    runs = State.REFUSED if summary.planned == 0 else f"{finished}/{summary.planned}{tables.mark(summary)}"
    style = "" if finished == summary.planned > 0 else "bold red"
    cells.append(_Cell(Text(formatting.minutes(summary.train_seconds)), Text(runs, style=style)))
    return cells


def _gain(summary: Summary, gain: Difference | None) -> _Cell:
    if summary.condition.method == UNTRAINED:
        return _Cell(Text("baseline", style="dim"))
    style = "" if gain is None else _COLORS[gain.verdict]
    return _Cell(Text(formatting.gain(gain), style=style), Text(formatting.gain_interval(gain), style="dim"))


def _unfinished(sweep: Sweep, console: Console) -> None:
    groups = tables.reasons(sweep.runs)
    for (status, error), runs in islice(groups.items(), _MAX_LISTED):
        console.print(Text.assemble("  ", (status, "red"), f" {len(runs)}" + (f": {error}" if error else "")))
        rest = f" and {len(runs) - _MAX_NAMED} more" if len(runs) > _MAX_NAMED else ""
        console.print(Text(f"    {', '.join(run.name for run in runs[:_MAX_NAMED])}{rest}", style="dim"))
    if len(groups) > _MAX_LISTED:
        console.print(Text(f"  and {len(groups) - _MAX_LISTED} more reasons, all in the report"))
