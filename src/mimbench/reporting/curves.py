"""Curves of runs: accuracy by depth, loss by step."""

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mimbench.reporting.runs import Condition, Run, Setting

LOSSES = ("train/loss", "val/loss")
_MAX_POINTS = 150


@dataclass(frozen=True)
class Curve:
    """One loss of one run; values are means over stretches of steps where there are many."""

    condition: Condition
    metric: str
    finished: bool
    steps: np.ndarray
    values: np.ndarray


def layerwise(runs: Iterable[Run]) -> pd.DataFrame:
    """One row per run, protocol and depth of the features.

    Columns: data, encoder, depth, label, seed, protocol, tap (depth of the features), accuracy (fraction), num_test.
    """
    rows = []
    for run in runs:
        if run.record is None or run.condition is None:
            continue
        head = (*run.condition.setting, run.condition.label, run.axes["seed"])
        for name, result in run.record.metrics.items():
            for protocol in ("knn", "linear") if name.startswith("layerwise-") else ():
                version = name.removeprefix("layerwise")
                points = zip(result["depths"], result.get(protocol) or [], strict=False)
                rows += [(*head, protocol + version, *point, result.get("num_test")) for point in points]
    columns = [*Setting._fields, "label", "seed", "protocol", "tap", "accuracy", "num_test"]
    return pd.DataFrame(rows, columns=columns).astype({"accuracy": float, "num_test": float})


def losses(runs: Iterable[Run], warnings: list[str]) -> list[Curve]:
    """Training and validation losses of every run that logged any; an unreadable file is named in `warnings`."""
    curves = []
    for run in runs:
        if run.condition is None or run.directory is None or not (run.directory / "metrics.csv").is_file():
            continue
        try:
            points = _read(run.directory / "metrics.csv")
        except (OSError, ValueError, csv.Error) as error:
            warnings.append(f"{run.directory / 'metrics.csv'}: {error}. Its curves are left out.")
            continue
        for metric, pairs in points.items():
            curves.append(Curve(run.condition, metric, run.status == "finished", *_thinned(pairs)))
    return curves


def _read(path: Path) -> dict[str, list[tuple[float, float]]]:
    points: dict[str, list[tuple[float, float]]] = {}
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if not {"step", "metric", "value"} <= set(reader.fieldnames or ()):
            raise ValueError(f"columns are {reader.fieldnames}, expected step,metric,value")
        for row in reader:
            pair = _number(row["step"]), _number(row["value"])
            if row["metric"] in LOSSES and all(map(math.isfinite, pair)):
                points.setdefault(row["metric"], []).append(pair)
    return points


def _number(text: str | None) -> float:
    """NaN for the half line that a killed run leaves."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _thinned(pairs: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values in order, as means of neighbours where there are more than can be seen."""
    points = np.array(sorted(pairs))
    if len(points) > _MAX_POINTS:
        points = np.stack([stretch.mean(axis=0) for stretch in np.array_split(points, _MAX_POINTS)])
    return points[:, 0], points[:, 1]
