"""Curves of runs: accuracies and analyses by depth; loss and throughput by step."""

import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mimbench.reporting import protocol_names, statistics
from mimbench.reporting.runs import Condition, Run, Setting
from mimbench.reporting.statistics import Estimate, Sample
from mimbench.runs.directory import METRICS
from mimbench.runs.state import State

LOSSES = ("train/loss", "val/loss")
THROUGHPUT = "throughput"
_MAX_BYTES = 256 << 20  # of a metrics file
_MAX_POINTS = 150  # of a curve
_MAX_POINTS_IN_ALL = 40_000  # of all curves of a report


@dataclass(frozen=True)
class Curve:
    """One metric of one run by step; if there are many steps, means over consecutive ones."""

    condition: Condition
    metric: str
    finished: bool
    steps: np.ndarray
    values: np.ndarray
    seed: int = 0


def layerwise(runs: Iterable[Run]) -> pd.DataFrame:
    """One row per run, quantity and depth of the features.

    Quantities are the accuracies of `layerwise-*` (`knn-v1`, `linear-v1`) and every list by depth of `analysis-*`.
    Columns: data, encoder, depth, label, seed, quantity, is_accuracy, tap (depth of the features), value (accuracies
    are fractions), num_test (number of test images; NaN for other quantities).
    """
    rows = []
    for run in runs:
        if run.record is None or run.condition is None:
            continue
        head = (*run.condition.setting, run.condition.label, run.axes["seed"])
        for name, result in run.record.metrics.items():
            for quantity in _quantities(name, result):
                points = zip(quantity.depths, quantity.values, strict=True)
                rows += [(*head, quantity.name, quantity.is_accuracy, *point, quantity.num_test) for point in points]
    columns = [*Setting._fields, "label", "seed", "quantity", "is_accuracy", "tap", "value", "num_test"]
    return pd.DataFrame(rows, columns=columns).astype({"is_accuracy": bool, "value": float, "num_test": float})


def accuracies(table: pd.DataFrame) -> set[str]:
    """The quantities of `layerwise` that are accuracies, to be shown in percent."""
    return set(table.loc[table["is_accuracy"], "quantity"])


def by_tap(rows: pd.DataFrame) -> dict[int, Estimate]:
    """Estimates over seeds by depth of the features, for the rows of one condition and quantity of `layerwise`."""
    values: dict[int, dict[int, float]] = {}
    counts: dict[int, float] = {}
    columns = (rows[name].tolist() for name in ("tap", "seed", "value", "num_test"))
    for tap, seed, value, num_test in zip(*columns, strict=True):
        if math.isfinite(value):
            values.setdefault(int(tap), {})[seed] = value
            counts[int(tap)] = min(num_test, counts.get(int(tap), num_test))
    found = {tap: statistics.estimate(Sample(values[tap], counts[tap])) for tap in sorted(values)}
    return {tap: estimate for tap, estimate in found.items() if estimate is not None}


def losses(runs: Iterable[Run], warnings: list[str]) -> list[Curve]:
    """Losses and throughput of all runs that logged any; a file that cannot be read is named in `warnings`."""
    found: list[tuple[Run, Condition, str, np.ndarray]] = []
    for run in runs:
        if run.condition is None or run.directory is None or not (run.directory / METRICS).is_file():
            continue
        try:
            points = _read(run.directory / METRICS)
        except (OSError, ValueError) as error:
            warnings.append(f"{run.directory / METRICS}: {error}. Its curves are left out.")
            continue
        found += [(run, run.condition, metric, values) for metric, values in points.items()]
    max_points = min(_MAX_POINTS, max(20, _MAX_POINTS_IN_ALL // max(1, len(found))))
    return [
        Curve(condition, metric, run.status == State.FINISHED, *_thin(points, max_points), seed=run.axes.get("seed", 0))
        for run, condition, metric, points in found
    ]


class _Quantity(NamedTuple):
    """A list by depth in a result."""

    name: str
    depths: list[int]
    values: list[float]
    is_accuracy: bool = False
    num_test: float | None = None


def _quantities(name: str, result: Any) -> list[_Quantity]:
    depths = result.get("depths") if isinstance(result, dict) else None
    if not isinstance(depths, list) or not all(type(depth) is int for depth in depths):
        return []
    lists = {key: values for key, values in result.items() if key != "depths" and _are_numbers(values, len(depths))}
    protocol = protocol_names.parse(name)
    if protocol.family == "layerwise":
        num_test = result.get("num_test")
        num_test = float(num_test) if isinstance(num_test, int | float) else None
        names = {family: str(protocol._replace(family=family)) for family in ("knn", "linear")}
        return [_Quantity(names[key], depths, lists[key], True, num_test) for key in names if key in lists]
    if protocol.family == "analysis":
        return [_Quantity(key, depths, values) for key, values in lists.items()]
    return []


def _are_numbers(values: Any, length: int) -> bool:
    return isinstance(values, list) and len(values) == length and all(isinstance(v, int | float) for v in values)


def _read(path: Path) -> dict[str, np.ndarray]:
    """Steps and values, "n 2", by metric, sorted by step; ignores an incomplete last line of a killed run."""
    if (size := path.stat().st_size) > _MAX_BYTES:
        raise ValueError(f"it has {size} bytes; expected at most {_MAX_BYTES}")
    text = path.read_text(encoding="utf-8", errors="replace")
    header = text.partition("\n")[0].strip().split(",")
    if not {"step", "metric", "value"} <= set(header):
        raise ValueError(f"columns are {header}, expected step,metric,value")
    lines = text[: text.rfind("\n") + 1]
    columns = ["step", "metric", "value"]
    table: Any = pd.read_csv(io.StringIO(lines), usecols=columns, dtype={"metric": str}, on_bad_lines="skip")
    columns: list[Any] = [pd.to_numeric(table[name], errors="coerce") for name in ("step", "value")]
    numbers = np.stack(columns, axis=1)
    metrics, finite = table["metric"].to_numpy(dtype=str), np.isfinite(numbers).all(axis=1)
    own = {metric: numbers[finite & (metrics == metric)] for metric in (*LOSSES, THROUGHPUT)}
    return {metric: rows[np.argsort(rows[:, 0], kind="stable")] for metric, rows in own.items() if len(rows)}


def _thin(points: np.ndarray, max_points: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values; means over consecutive steps if there are more points than a figure can show."""
    if len(points) > max_points:
        points = np.stack([part.mean(axis=0) for part in np.array_split(points, max_points)])
    return points[:, 0], points[:, 1]
