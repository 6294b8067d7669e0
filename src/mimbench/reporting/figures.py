"""The figures of a report; each is None where there is nothing to draw."""

from collections.abc import Callable
from itertools import groupby

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mimbench.reporting import curves, panels
from mimbench.reporting.collect import Sweep
from mimbench.reporting.palette import colours, legend, subplots
from mimbench.reporting.runs import Setting
from mimbench.reporting.summary import Summary, protocols, titles


def draw(sweep: Sweep, summaries: list[Summary], warnings: list[str]) -> dict[str, Figure | None]:
    """All figures by file name without ending; a curve that cannot be read is named in `warnings`."""
    return {
        "layerwise": layerwise(curves.layerwise(sweep.finished)),
        "depth": accuracy_by_depth(summaries),
        "flops": accuracy_by_flops(summaries),
        "loss": losses(curves.losses(sweep.runs, warnings)),
    }


def layerwise(table: pd.DataFrame) -> Figure | None:
    """Accuracy of the features at every depth: a row per setting, a column per protocol."""
    if table.empty:
        return None
    names = titles(table["protocol"])
    settings = list(table.groupby(list(Setting._fields)))
    palette = colours(curves.label(table))
    figure, grid = subplots(len(settings), len(names), width=4.6, height=2.8)
    for row, (setting, of_setting) in zip(grid, settings, strict=True):
        for axes, (protocol, name) in zip(row, names.items(), strict=True):
            panels.layerwise(axes, of_setting[of_setting["protocol"] == protocol], palette)
            axes.set(title=str(Setting(*setting)), ylabel=f"{name} accuracy (%)")
    return figure


def accuracy_by_depth(summaries: list[Summary]) -> Figure | None:
    """Accuracy against encoder depth per method; None with one depth only."""
    depths = {summary.condition.depth for summary in summaries if summary.estimates}
    return _by_data_and_encoder(summaries, panels.depth) if len(depths) > 1 else None


def accuracy_by_flops(summaries: list[Summary]) -> Figure | None:
    """Accuracy against training FLOPs: a point per condition, the untrained encoders as lines."""
    trained = [summary for summary in summaries if summary.estimates and summary.training_flops > 0]
    if not trained:
        return None
    figure = _by_data_and_encoder(summaries, panels.flops)
    depths = sorted({summary.condition.depth for summary in trained})
    legend(figure, sorted({summary.condition.label for summary in trained}), panels.markers(depths))
    return figure


def losses(table: pd.DataFrame) -> Figure | None:
    """Loss against step: a row per setting, a column per method, since each method's loss has a scale of its own."""
    if table.empty:
        return None
    labels = sorted(set(curves.label(table)))
    palette = colours(labels)
    settings = list(table.groupby(list(Setting._fields)))
    figure, grid = subplots(len(settings), len(labels), width=2.6, height=2.1)
    for row, (setting, of_setting) in zip(grid, settings, strict=True):
        for axes, label in zip(row, labels, strict=True):
            panels.loss(axes, of_setting[curves.label(of_setting) == label], palette[label])
            axes.set_title(f"{label}\n{Setting(*setting)}")
    figure.suptitle("Loss; thin: training, bold: validation, dotted: run not finished; one line per seed", fontsize=9)
    return figure


def _by_data_and_encoder(
    summaries: list[Summary], panel: Callable[[Axes, list[Summary], str, dict[str, str]], None]
) -> Figure:
    measured = [summary for summary in summaries if summary.estimates]
    names = protocols(measured)
    palette = colours(summary.condition.label for summary in measured)
    rows = [(key, list(group)) for key, group in groupby(measured, key=lambda summary: summary.condition[:2])]
    figure, grid = subplots(len(rows), len(names), width=4.6, height=3.1)
    for row, ((data, encoder), group) in zip(grid, rows, strict=True):
        for axes, (protocol, name) in zip(row, names.items(), strict=True):
            panel(axes, [summary for summary in group if protocol in summary.estimates], protocol, palette)
            axes.set(title=f"{data} · {encoder}", ylabel=f"{name} accuracy (%)")
    return figure
