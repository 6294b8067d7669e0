"""The figures of a report as files; each is None if there is nothing to draw."""

from collections.abc import Callable
from functools import partial
from itertools import groupby

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mimbench.reporting import curves
from mimbench.reporting.collect import Sweep, groups
from mimbench.reporting.cost import Cost, costs
from mimbench.reporting.curves import Curve
from mimbench.reporting.figures import panels
from mimbench.reporting.figures.palette import colors, legend, subplots
from mimbench.reporting.protocol_names import titles
from mimbench.reporting.runs import Setting
from mimbench.reporting.summary import Summary, protocols


def draw(sweep: Sweep, summaries: list[Summary], logged: list[Curve]) -> dict[str, Figure | None]:
    """All figures by file name without extension."""
    return {
        "accuracy": accuracy_by_method(summaries),
        "layerwise": layerwise(curves.layerwise(sweep.finished)),
        "depth": accuracy_by_depth(summaries),
        **{name: accuracy_by_cost(summaries, cost) for name, cost in costs(summaries).items()},
        "loss": losses([curve for curve in logged if curve.metric in curves.LOSSES]),
        "throughput": throughput([curve for curve in logged if curve.metric == curves.THROUGHPUT]),
    }


def accuracy_by_method(summaries: list[Summary]) -> Figure | None:
    """Accuracy with intervals: one row per setting, one column per protocol."""
    measured = [summary for summary in summaries if summary.estimates]
    if not measured:
        return None
    names = protocols(measured)
    palette = colors(summary.condition.label for summary in measured)
    rows = [(key, list(group)) for key, group in groupby(measured, key=lambda summary: summary.condition.setting)]
    height = 0.8 + 0.22 * max(len(group) for _, group in rows)
    figure, grid = subplots(len(rows), len(names), width=4.2, height=height)
    for row, (setting, group) in zip(grid, rows, strict=True):
        for axes, (protocol, name) in zip(row, names.items(), strict=True):
            panels.draw_methods(axes, [s for s in group if protocol in s.estimates], protocol, palette)
            axes.set(title=str(setting), xlabel=f"{name} (%)")
    return figure


def layerwise(table: pd.DataFrame) -> Figure | None:
    """Features at every depth: one row per setting, one column per quantity of `curves.layerwise`."""
    if table.empty:
        return None
    names, accuracies = titles(table["quantity"].tolist()), curves.accuracies(table)
    settings = groups(table, Setting._fields)
    palette = colors(table["label"].tolist())
    figure, grid = subplots(len(settings), len(names), width=4.6, height=2.8)
    for row, (setting, of_setting) in zip(grid, settings, strict=True):
        of_quantity = {quantity: rows for (quantity,), rows in groups(of_setting, ["quantity"])}
        for axes, (quantity, name) in zip(row, names.items(), strict=True):
            percent = quantity in accuracies
            panels.draw_layerwise(axes, of_quantity.get(quantity, table.head(0)), palette, 100 if percent else 1)
            axes.set(title=str(Setting(*setting)), ylabel=f"{name} (%)" if percent else name)
    return figure


def accuracy_by_depth(summaries: list[Summary]) -> Figure | None:
    """Accuracy against encoder depth, one line per method; None with one depth only."""
    depths = {summary.condition.depth for summary in summaries if summary.estimates}
    return _by_data_and_encoder(summaries, panels.draw_depth) if len(depths) > 1 else None


def accuracy_by_cost(summaries: list[Summary], cost: Cost) -> Figure | None:
    """Accuracy against cost: one point per condition, the Pareto front, the untrained encoders as lines."""
    trained = [summary for summary in summaries if summary.estimates and cost.of(summary) > 0]
    if not trained:
        return None
    figure = _by_data_and_encoder(summaries, partial(panels.draw_cost, cost=cost))
    depths = sorted({summary.condition.depth for summary in trained})
    legend(figure, sorted({summary.condition.label for summary in trained}), panels.markers(depths))
    return figure


def throughput(curves: list[Curve]) -> Figure | None:
    """Images per second against step, one panel per setting."""
    if not curves:
        return None
    settings = sorted({curve.condition.setting for curve in curves})
    palette = colors({curve.condition.label for curve in curves})
    figure, grid = subplots(len(settings), 1, width=5.6, height=2.4)
    for (axes,), setting in zip(grid, settings, strict=True):
        panels.draw_throughput(axes, [curve for curve in curves if curve.condition.setting == setting], palette)
        axes.set(title=str(setting), ylabel="images per second")
    return figure


def losses(curves: list[Curve]) -> Figure | None:
    """Loss against step: one row per setting and one column per method, because the losses have different scales."""
    if not curves:
        return None
    labels = sorted({curve.condition.label for curve in curves})
    settings = sorted({curve.condition.setting for curve in curves})
    palette = colors(labels)
    figure, grid = subplots(len(settings), len(labels), width=2.6, height=2.1)
    for row, setting in zip(grid, settings, strict=True):
        for axes, label in zip(row, labels, strict=True):
            own = [curve for curve in curves if (curve.condition.setting, curve.condition.label) == (setting, label)]
            panels.draw_loss(axes, own, palette[label])
            axes.set_title(f"{label}\n{setting}")
    figure.suptitle("Loss; thin: training, bold: validation, dotted: run not finished; one line per seed", fontsize=9)
    return figure


def _by_data_and_encoder(
    summaries: list[Summary], panel: Callable[[Axes, list[Summary], str, dict[str, str]], None]
) -> Figure:
    measured = [summary for summary in summaries if summary.estimates]
    names = protocols(measured)
    palette = colors(summary.condition.label for summary in measured)
    rows = [(key, list(group)) for key, group in groupby(measured, key=lambda summary: summary.condition[:2])]
    figure, grid = subplots(len(rows), len(names), width=4.6, height=3.1)
    for row, ((data, encoder), group) in zip(grid, rows, strict=True):
        for axes, (protocol, name) in zip(row, names.items(), strict=True):
            panel(axes, [summary for summary in group if protocol in summary.estimates], protocol, palette)
            axes.set(title=f"{data} · {encoder}", ylabel=f"{name} (%)")
    return figure
