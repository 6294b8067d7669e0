"""Functions that draw one panel of a figure."""

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from mimbench.reporting.collect import groups
from mimbench.reporting.cost import Cost, pareto
from mimbench.reporting.curves import Curve, by_tap
from mimbench.reporting.figures.palette import Label, label_ends
from mimbench.reporting.render import formatting
from mimbench.reporting.runs import UNTRAINED
from mimbench.reporting.statistics import Estimate
from mimbench.reporting.summary import Summary

_MARKERS = "os^Dv*X"


def markers(depths: Iterable[int]) -> dict[int, str]:
    """The marker of each encoder depth."""
    return {depth: _MARKERS[i % len(_MARKERS)] for i, depth in enumerate(sorted(set(depths)))}


def draw_layerwise(axes: Axes, table: pd.DataFrame, palette: dict[str, str], scale: float = 100) -> None:
    """Rows of one setting and quantity of `curves.layerwise`: means over seeds with 95 % bands.

    Args:
        scale: Factor of the values, 100 for percent.
    """
    ends = []
    for (label,), of_method in groups(table, ["label"]):
        points = by_tap(of_method)
        if points:
            _band(axes, points, palette[label], scale)
            ends.append(Label(label, scale * list(points.values())[-1].mean, palette[label]))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
    axes.set_xlabel("features at depth (0: patch embedding)")
    label_ends(axes, ends)


def draw_methods(axes: Axes, summaries: list[Summary], protocol: str, palette: dict[str, str]) -> None:
    """Accuracy of the methods of one setting, one below the other, with 95 % intervals; untrained as a line."""
    estimates = [summary.estimates[protocol] for summary in summaries]
    labels = [summary.condition.label for summary in summaries]
    for row, (summary, estimate) in enumerate(zip(summaries, estimates, strict=True)):
        mean, low, high = 100 * estimate.mean, 100 * estimate.low, 100 * estimate.high
        color = palette[summary.condition.label]
        style = _style([estimate])
        axes.errorbar(
            mean, row, xerr=[[mean - low], [high - mean]], fmt="o", color=color, elinewidth=1.6, capsize=3, **style
        )
        if summary.condition.method == UNTRAINED:
            axes.axvline(mean, color=color, linestyle="--", linewidth=1.2, zorder=0)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)


def draw_depth(axes: Axes, summaries: list[Summary], protocol: str, palette: dict[str, str]) -> None:
    """Accuracy against encoder depth, one line per method, with 95 % intervals."""
    lines: dict[str, list[Summary]] = {}
    for summary in summaries:
        lines.setdefault(summary.condition.label, []).append(summary)
    depths = sorted({summary.condition.depth for summary in summaries})
    ends = []
    for i, (label, line) in enumerate(lines.items()):
        # Shifted, so that the intervals of different methods do not hide each other.
        shift = 0.05 * (i - (len(lines) - 1) / 2)
        positions = [depths.index(summary.condition.depth) + shift for summary in line]
        _points(axes, positions, [summary.estimates[protocol] for summary in line], palette[label], "o-")
        ends.append(Label(label, 100 * line[-1].estimates[protocol].mean, palette[label]))
    axes.set_xticks(range(len(depths)), [str(depth) for depth in depths])
    axes.set_xlabel("encoder depth (blocks)")
    label_ends(axes, ends)


def draw_cost(axes: Axes, summaries: list[Summary], protocol: str, palette: dict[str, str], cost: Cost) -> None:
    """Accuracy against cost: one point per condition with its 95 % interval, the Pareto front, untrained as lines."""
    marker_of = markers(summary.condition.depth for summary in summaries)
    ends, points = [], []
    for summary in summaries:
        condition, estimate = summary.condition, summary.estimates[protocol]
        color = palette[condition.label]
        if cost.of(summary) > 0:
            _points(axes, [cost.of(summary)], [estimate], color, marker_of[condition.depth])
            points.append((cost.of(summary), 100 * estimate.mean))
        elif condition.method == UNTRAINED:
            axes.axhline(100 * estimate.mean, color=color, linestyle="--", linewidth=1.2)
            ends.append(Label(f"{condition.label}, depth {condition.depth}", 100 * estimate.mean, color))
    if points:
        costs, values = zip(*points, strict=True)
        front = [points[i] for i in pareto(costs, values)]
        axes.plot(*zip(*front, strict=True), color="#444444", linewidth=1, drawstyle="steps-post", zorder=0)
    _log_scale(axes, [x for x, _ in points])
    axes.set_xlabel(cost.title)
    label_ends(axes, ends)


def draw_loss(axes: Axes, curves: list[Curve], color: str) -> None:
    """Curves of one condition: thin lines for training, bold for validation."""
    for curve in curves:
        style: dict[str, Any] = {"linewidth": 1.8} if curve.metric == "val/loss" else {"linewidth": 0.8, "alpha": 0.6}
        style |= {"color": color} if curve.finished else {"color": "#222222", "linestyle": ":"}
        axes.plot(curve.steps, curve.values, **style, marker=_marker(curve))
    if not curves:
        axes.text(0.5, 0.5, "no curve", transform=axes.transAxes, ha="center", color="#888888")
        axes.set(xticks=[], yticks=[])
    axes.set_xlabel("step")


def draw_throughput(axes: Axes, curves: list[Curve], palette: dict[str, str]) -> None:
    """Images per second against step, one line per run of one setting."""
    for curve in curves:
        style: dict[str, Any] = {"color": palette[curve.condition.label], "marker": _marker(curve)}
        axes.plot(curve.steps, curve.values, linewidth=1, alpha=0.8, **style)
    labels = dict.fromkeys(curve.condition.label for curve in curves)
    last = {label: [c.values[-1] for c in curves if c.condition.label == label] for label in labels}
    axes.set_ylim(bottom=0)
    axes.set_xlabel("step")
    label_ends(axes, [Label(label, sum(values) / len(values), palette[label]) for label, values in last.items()])


def _marker(curve: Curve) -> str:
    """A dot for a curve with one point, whose line would be invisible."""
    return "" if len(curve.steps) > 1 else "."


def _log_scale(axes: Axes, values: list[float]) -> None:
    axes.set_xscale("log")
    if values:
        # Wide enough for two ticks even if all costs are about equal.
        axes.set_xlim(min(values) / 1.4, max(values) * 1.4)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if _decades(values) < 2 else (1,)))
    axes.xaxis.set_major_formatter(lambda value, _: formatting.flops(value) if value >= 1e6 else f"{value:g}")
    axes.xaxis.set_minor_locator(NullLocator())


def _decades(values: list[float]) -> float:
    return math.log10(max(values) / min(values)) if values else 0.0


def _band(axes: Axes, points: dict[int, Estimate], color: str, scale: float) -> None:
    means, lows, highs = (
        [scale * getattr(point, name) for point in points.values()] for name in ("mean", "low", "high")
    )
    axes.plot(list(points), means, "o-", color=color)
    axes.fill_between(list(points), lows, highs, color=color, alpha=0.1, linewidth=0)


def _points(axes: Axes, positions: list[float], estimates: list[Estimate], color: str, marker: str) -> None:
    below = [100 * (estimate.mean - estimate.low) for estimate in estimates]
    above = [100 * (estimate.high - estimate.mean) for estimate in estimates]
    means = [100 * estimate.mean for estimate in estimates]
    style = _style(estimates)
    axes.errorbar(positions, means, yerr=[below, above], fmt=marker, color=color, elinewidth=1.1, capsize=2, **style)


def _style(estimates: list[Estimate]) -> dict[str, Any]:
    """Hollow markers for intervals over test images only, which say nothing about other seeds."""
    return {"markerfacecolor": "white"} if all(estimate.over_images for estimate in estimates) else {}
