"""Curves of runs: what features are worth by depth; loss and throughput by step."""

import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mimbench.reporting import statistics
from mimbench.reporting.runs import Condition, Run, Setting
from mimbench.reporting.statistics import Estimate, Sample

LOSSES = ("train/loss", "val/loss")
THROUGHPUT = "throughput"
_MAX_POINTS = 150
_MAX_POINTS_IN_ALL = 40_000


@dataclass(frozen=True)
class Curve:
    """One metric of one run; values are means over stretches of steps where there are many."""

    condition: Condition
    metric: str
    finished: bool
    steps: np.ndarray
    values: np.ndarray
    seed: int = 0


def layerwise(runs: Iterable[Run]) -> pd.DataFrame:
    """One row per run, quantity and depth of the features.

    Quantities are the accuracies of `layerwise-*` (`knn-v1`, `linear-v1`) and every list by depth of `analysis-*`.
    Columns: data, encoder, depth, label, seed, protocol (the quantity), tap (depth of the features), accuracy (its
    value; accuracies are fractions), num_test (NaN for what is no accuracy).
    """
    rows = []
    for run in runs:
        if run.record is None or run.condition is None:
            continue
        head = (*run.condition.setting, run.condition.label, run.axes["seed"])
        for name, result in run.record.metrics.items():
            for quantity, depths, values, num_test in _by_depth(name, result):
                rows += [(*head, quantity, *point, num_test) for point in zip(depths, values, strict=False)]
    columns = [*Setting._fields, "label", "seed", "protocol", "tap", "accuracy", "num_test"]
    return pd.DataFrame(rows, columns=columns).astype({"accuracy": float, "num_test": float})


def by_tap(rows: pd.DataFrame) -> dict[int, Estimate]:
    """Over seeds, by depth of the features, for the rows of one condition and quantity of `layerwise`."""
    values: dict[int, dict[int, float]] = {}
    counts: dict[int, float] = {}
    columns = (rows[name].tolist() for name in ("tap", "seed", "accuracy", "num_test"))
    for tap, seed, value, num_test in zip(*columns, strict=True):
        if math.isfinite(value):
            values.setdefault(int(tap), {})[seed] = value
            counts[int(tap)] = min(num_test, counts.get(int(tap), num_test))
    found = {tap: statistics.estimate(Sample(values[tap], counts[tap])) for tap in sorted(values)}
    return {tap: estimate for tap, estimate in found.items() if estimate is not None}


def is_accuracy(quantity: str) -> bool:
    """Whether a quantity of `layerwise` is an accuracy, to be shown in per cent."""
    return quantity.startswith(("knn-", "linear-"))


def losses(runs: Iterable[Run], warnings: list[str]) -> list[Curve]:
    """Losses and throughput of every run that logged any; an unreadable file is named in `warnings`."""
    found: list[tuple[Run, Condition, str, np.ndarray]] = []
    for run in runs:
        if run.condition is None or run.directory is None or not (run.directory / "metrics.csv").is_file():
            continue
        try:
            points = _read(run.directory / "metrics.csv")
        except (OSError, ValueError) as error:
            warnings.append(f"{run.directory / 'metrics.csv'}: {error}. Its curves are left out.")
            continue
        found += [(run, run.condition, metric, values) for metric, values in points.items()]
    most = min(_MAX_POINTS, max(20, _MAX_POINTS_IN_ALL // max(1, len(found))))
    return [
        Curve(condition, metric, run.status == "finished", *_thinned(points, most), seed=run.axes.get("seed", 0))
        for run, condition, metric, points in found
    ]


def _by_depth(name: str, result: Any) -> list[tuple[str, list[int], list[float], float | None]]:
    if not isinstance(result, dict) or not isinstance(result.get("depths"), list):
        return []
    depths = result["depths"]
    if name.startswith("layerwise-"):
        version = name.removeprefix("layerwise")
        accuracies = ((protocol, result.get(protocol) or []) for protocol in ("knn", "linear"))
        return [(protocol + version, depths, values, result.get("num_test")) for protocol, values in accuracies]
    if name.startswith("analysis-"):
        lists = {key: values for key, values in result.items() if key != "depths" and _numbers(values, len(depths))}
        return [(key, depths, values, None) for key, values in lists.items()]
    return []


def _numbers(values: Any, length: int) -> bool:
    return isinstance(values, list) and len(values) == length and all(isinstance(v, int | float) for v in values)


def _read(path: Path) -> dict[str, np.ndarray]:
    """Steps and values, "n 2", by metric, in order; without the half line that a killed run leaves."""
    text = path.read_text(encoding="utf-8", errors="replace")
    header = text.partition("\n")[0].strip().split(",")
    if not {"step", "metric", "value"} <= set(header):
        raise ValueError(f"columns are {header}, expected step,metric,value")
    whole = text[: text.rfind("\n") + 1]
    columns = ["step", "metric", "value"]
    table: Any = pd.read_csv(io.StringIO(whole), usecols=columns, dtype={"metric": str}, on_bad_lines="skip")
    columns: list[Any] = [pd.to_numeric(table[name], errors="coerce") for name in ("step", "value")]
    numbers = np.stack(columns, axis=1)
    metrics, finite = table["metric"].to_numpy(dtype=str), np.isfinite(numbers).all(axis=1)
    own = {metric: numbers[finite & (metrics == metric)] for metric in (*LOSSES, THROUGHPUT)}
    return {metric: rows[np.argsort(rows[:, 0], kind="stable")] for metric, rows in own.items() if len(rows)}


def _thinned(points: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """As means of neighbours where there are more points than can be seen."""
    if len(points) > most:
        points = np.stack([stretch.mean(axis=0) for stretch in np.array_split(points, most)])
    return points[:, 0], points[:, 1]
