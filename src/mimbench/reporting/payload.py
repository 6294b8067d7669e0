"""What the page's script draws from: plain lists and numbers, small enough to embed."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from mimbench.reporting import configs, curves
from mimbench.reporting.collect import Sweep, groups
from mimbench.reporting.cost import COSTS
from mimbench.reporting.curves import Curve
from mimbench.reporting.palette import colours, on_dark
from mimbench.reporting.runs import UNTRAINED, Condition
from mimbench.reporting.summary import Summary, protocols
from mimbench.reporting.titles import titles


def payload(sweep: Sweep, summaries: list[Summary], logged: Sequence[Curve]) -> dict[str, Any]:
    """Everything that figures and the comparison of configurations need; accuracies in per cent."""
    table = curves.layerwise(sweep.finished)
    labels = list(dict.fromkeys(summary.condition.label for summary in summaries))
    palette = colours(labels)
    return {
        "colours": {label: [palette[label], on_dark(palette[label])] for label in labels},
        "protocols": protocols(summaries),
        "quantities": titles(table["protocol"].tolist()),
        "costs": {name: cost.title for name, cost in COSTS.items()},
        "conditions": [_condition(summary) for summary in summaries],
        "layerwise": _layerwise(table),
        "curves": [_curve(curve) for curve in logged],
        "configs": _configs(sweep),
    }


def _condition(summary: Summary) -> dict[str, Any]:
    return {
        **_place(summary.condition),
        "trained": summary.condition.method != UNTRAINED,
        "estimates": {
            protocol: [*_rounded(100 * value for value in (e.mean, e.low, e.high)), e.n]
            for protocol, e in summary.estimates.items()
        },
        "costs": {name: _number(cost.of(summary)) for name, cost in COSTS.items()},
    }


def _place(condition: Condition) -> dict[str, Any]:
    return {
        "data": condition.data,
        "encoder": condition.encoder,
        "depth": condition.depth,
        "label": condition.label,
    }


def _layerwise(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A line per condition and quantity, means over seeds with 95 % intervals."""
    lines = []
    for (data, encoder, depth, label, quantity), rows in groups(
        table, ["data", "encoder", "depth", "label", "protocol"]
    ):
        scale = 100 if curves.is_accuracy(quantity) else 1
        points = list(curves.by_tap(rows).items())
        lines.append(
            {
                **{"data": data, "encoder": encoder, "depth": int(depth), "label": label, "quantity": quantity},
                "x": [tap for tap, _ in points],
                "y": _rounded(scale * estimate.mean for _, estimate in points),
                "low": _rounded(scale * estimate.low for _, estimate in points),
                "high": _rounded(scale * estimate.high for _, estimate in points),
            }
        )
    return lines


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        **_place(curve.condition),
        "metric": curve.metric,
        "seed": curve.seed,
        "finished": curve.finished,
        "x": [round(step) for step in curve.steps.tolist()],
        "y": _rounded(curve.values.tolist()),
    }


def _configs(sweep: Sweep) -> dict[str, Any]:
    """By run the keys in which not all runs agree; of a run without a configuration there is nothing to compare."""
    known = [run for run in sweep.runs if run.config]
    own = configs.differences([run.config for run in known])
    common = len(set().union(*(run.config for run in known))) - len(set().union(*own)) if known else 0
    texts = [{key: str(value) for key, value in config.items()} for config in own]
    return {"common": common, "runs": dict(zip((run.name for run in known), texts, strict=True))}


def _rounded(values: Iterable[float]) -> list[float | None]:
    return [_number(value) for value in values]


def _number(value: float) -> float | None:
    """Four digits: more cannot be seen. None for what JSON does not have."""
    return float(f"{value:.4g}") if math.isfinite(value) else None
