"""Tidy curves of runs: accuracy by depth, loss by step."""

from collections.abc import Iterable

import pandas as pd

from mimbench.reporting.runs import Condition, Run

_MAX_POINTS = 150


def layerwise(runs: Iterable[Run]) -> pd.DataFrame:
    """Columns: those of Condition, seed, protocol, tap (depth of the features), accuracy (fraction), num_test."""
    columns = [*Condition._fields, "seed", "protocol", "tap", "accuracy", "num_test"]
    rows = []
    for run in runs:
        for name, result in _layerwise(run):
            assert run.condition is not None
            for protocol in ("knn", "linear"):
                accuracies = result.get(protocol) or []
                for tap, accuracy in zip(result["depths"], accuracies, strict=False):
                    prefix = (*run.condition, run.axes["seed"], protocol + name.removeprefix("layerwise"))
                    rows.append((*prefix, tap, accuracy, result.get("num_test")))
    return pd.DataFrame(rows, columns=columns).astype({"accuracy": float, "num_test": float})


def losses(runs: Iterable[Run], warnings: list[str]) -> pd.DataFrame:
    """Columns: those of Condition, seed, status, metric (`train/loss`, `val/loss`), step, value; long curves binned.

    A file that cannot be read is named in `warnings`.
    """
    parts = []
    for run in runs:
        if run.condition is not None and run.directory is not None and (run.directory / "metrics.csv").is_file():
            curves = _metrics(run, warnings)
            labels = {**run.condition._asdict(), "seed": run.axes["seed"], "status": run.status}
            parts += [_binned(curve).assign(metric=metric, **labels) for metric, curve in curves.groupby("metric")]
    columns = [*Condition._fields, "seed", "status", "metric", "step", "value"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def label(table: pd.DataFrame) -> pd.Series:
    """What the line of each row is called, as `Condition.label` has it."""
    return (table["method"] + " " + table["variant"]).str.rstrip()


def _layerwise(run: Run) -> list[tuple[str, dict]]:
    if run.record is None or run.condition is None:
        return []
    return [(name, result) for name, result in run.record.metrics.items() if name.startswith("layerwise-")]


def _metrics(run: Run, warnings: list[str]) -> pd.DataFrame:
    path = run.directory / "metrics.csv"
    try:
        # A killed run may leave half a line.
        table = pd.read_csv(path, on_bad_lines="skip", usecols=["step", "metric", "value"])
    except (OSError, ValueError) as error:
        warnings.append(f"{path}: not a readable curve ({error}). It is left out of the figures.")
        return pd.DataFrame(columns=["step", "metric", "value"])
    table = table[table["metric"].isin(["train/loss", "val/loss"])]
    return table.assign(
        step=pd.to_numeric(table["step"], errors="coerce"), value=pd.to_numeric(table["value"], errors="coerce")
    ).dropna()


def _binned(curve: pd.DataFrame) -> pd.DataFrame:
    """Means over equal stretches of steps, so that noise does not hide the curve."""
    if len(curve) <= _MAX_POINTS:
        return curve[["step", "value"]].sort_values("step")
    bins = pd.cut(curve["step"], _MAX_POINTS)
    return curve.groupby(bins, observed=True)[["step", "value"]].mean()
