"""Data for the scripts of the HTML page: plain lists and numbers, small enough to embed."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from mimbench.reporting import configs, curves
from mimbench.reporting.collect import Sweep, groups
from mimbench.reporting.cost import costs
from mimbench.reporting.curves import Curve
from mimbench.reporting.figures.palette import colors, on_dark
from mimbench.reporting.pairs import Ranking, rankings
from mimbench.reporting.protocol_names import titles
from mimbench.reporting.render import formatting, tables
from mimbench.reporting.runs import UNTRAINED, Condition, Setting
from mimbench.reporting.summary import Summary, protocols


def payload(sweep: Sweep, summaries: list[Summary], logged: Sequence[Curve]) -> dict[str, Any]:
    """Data of the figures and of the comparison of configurations; accuracies in percent."""
    table = curves.layerwise(sweep.finished)
    labels = list(dict.fromkeys(summary.condition.label for summary in summaries))
    palette = colors(labels)
    accuracies = curves.accuracies(table)
    quantities = titles(table["quantity"].tolist())
    return {
        "colors": {label: [palette[label], on_dark(palette[label])] for label in labels},
        "protocols": protocols(summaries),
        "quantities": {name: {"title": title, "percent": name in accuracies} for name, title in quantities.items()},
        "costs": {name: cost.title for name, cost in costs(summaries).items()},
        "conditions": [_condition(summary) for summary in summaries],
        "rankings": [_ranking(ranking) for ranking in rankings(summaries)],
        "layerwise": _layerwise(table),
        "curves": [_curve(curve) for curve in logged],
        "configs": _configs(sweep),
    }


def _condition(summary: Summary) -> dict[str, Any]:
    return {
        **_axes(summary.condition),
        "trained": summary.condition.method != UNTRAINED,
        "estimates": {
            protocol: [*_rounded(100 * value for value in (e.mean, e.low, e.high)), e.n, e.over_images]
            for protocol, e in summary.estimates.items()
        },
        "costs": {name: _number(cost.of(summary)) for name, cost in costs([summary]).items()},
        "texts": {name: formatting.accuracy(value, summary.planned) for name, value in summary.estimates.items()},
        "untrained": {name: gain.verdict for name, gain in summary.differences.items()},
        "below": [name for name in summary.differences if tables.below_untrained(summary, name)],
    }


def _ranking(ranking: Ranking) -> dict[str, Any]:
    return {
        "protocol": ranking.protocol,
        "order": ranking.order,
        "differences": {
            f"{first},{second}": {
                "mean": gain.mean,
                "points": formatting.points(gain),
                "verdict": gain.verdict,
                "tie": gain.is_tie,
                "images": gain.over_images,
            }
            for (first, second), gain in ranking.differences.items()
        },
    }


def _axes(condition: Condition) -> dict[str, Any]:
    return {**condition.setting._asdict(), "label": condition.label}


def _layerwise(table: pd.DataFrame) -> list[dict[str, Any]]:
    """One line per condition and quantity, means over seeds with 95 % intervals."""
    accuracies = curves.accuracies(table)
    lines = []
    for (data, encoder, depth, label, quantity), rows in groups(table, [*Setting._fields, "label", "quantity"]):
        scale = 100 if quantity in accuracies else 1
        points = list(curves.by_tap(rows).items())
        lines.append(
            {
                **Setting(data, encoder, int(depth))._asdict(),
                **{"label": label, "quantity": quantity},
                "x": [tap for tap, _ in points],
                "y": _rounded(scale * estimate.mean for _, estimate in points),
                "low": _rounded(scale * estimate.low for _, estimate in points),
                "high": _rounded(scale * estimate.high for _, estimate in points),
            }
        )
    return lines


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        **_axes(curve.condition),
        "metric": curve.metric,
        "seed": curve.seed,
        "finished": curve.finished,
        "x": [round(step) for step in curve.steps.tolist()],
        "y": _rounded(curve.values.tolist()),
    }


def _configs(sweep: Sweep) -> dict[str, Any]:
    """By run the keys in which the runs differ, and the number of keys in which they agree."""
    known = [run for run in sweep.runs if run.config]
    own = configs.differences([run.config for run in known])
    common = len(set().union(*(run.config for run in known))) - len(set().union(*own)) if known else 0
    texts = [{key: str(value) for key, value in config.items()} for config in own]
    return {"common": common, "runs": dict(zip((run.name for run in known), texts, strict=True))}


def _rounded(values: Iterable[float]) -> list[float | None]:
    return [_number(value) for value in values]


def _number(value: float) -> float | None:
    """Four significant digits; None for NaN and infinity, which JSON does not have."""
    return float(f"{value:.4g}") if math.isfinite(value) else None
