"""The runs of a sweep: those that left a record, and those that were planned and did not."""

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mimbench.reporting import configs, records, variants
from mimbench.reporting.runs import Condition, Run

MANIFEST = "sweep.json"


@dataclass(frozen=True)
class Sweep:
    """All runs known of, in a fixed order, and what was odd about them."""

    name: str
    directory: Path
    runs: tuple[Run, ...]
    warnings: tuple[str, ...]

    @property
    def finished(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.status == "finished")


def collect(directory: Path) -> Sweep:
    """Reads every record and every plan below a directory.

    Raises:
        ValueError: The directory does not exist or holds neither records nor a plan.
    """
    if not directory.is_dir():
        raise ValueError(f"{directory} is not a directory. Give the directory of a sweep, the one with {MANIFEST}.")
    warnings: list[str] = []
    recorded: list[Run] = []
    plans: list[dict[str, Any]] = []
    for folder, names in _folders(directory):
        if records.FILE in names:
            recorded.append(_recorded(folder))
        if MANIFEST in names:
            plans.extend(_plan(folder / MANIFEST, warnings))
    runs = _merged(recorded, [run for plan in plans for run in plan["runs"]])
    if not runs:
        raise ValueError(
            f"{directory} holds no runs: no {records.FILE} and no {MANIFEST} in it or below. "
            "Give the directory of a sweep, or start one with `mimbench run -m`."
        )
    warnings.extend(f"{run.error} The run is left out." for run in runs if run.status == "broken")
    runs = variants.newest(variants.named(runs), warnings)
    runs.sort(key=lambda run: (run.condition is None, run.condition.order if run.condition else (), run.name))
    names = sorted({plan["name"] for plan in plans})
    name = " + ".join(names) or directory.resolve().name
    return Sweep(name=name, directory=directory, runs=tuple(runs), warnings=tuple(warnings))


def frame(runs: Iterable[Run]) -> pd.DataFrame:
    """Tidy headlines: one row per run and protocol, for the runs that have any.

    Columns: identity, name, data, encoder, depth, method, variant, seed, protocol, accuracy (fraction; or another of
    `records.HEADLINES`), num_test (NaN where the headline is no share of test images).
    """
    columns = ["identity", "name", *Condition._fields, "seed", "protocol", "accuracy", "num_test"]
    rows = [
        (run.identity, run.name, *run.condition, run.axes["seed"], protocol, *found)
        for run in runs
        if run.record is not None and run.condition is not None
        for protocol, result in run.record.metrics.items()
        if (found := records.headline(result)) is not None
    ]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"accuracy": float, "num_test": float})


def groups(table: pd.DataFrame, columns: Sequence[str]) -> list[tuple[tuple[Any, ...], pd.DataFrame]]:
    """The rows of each combination of values in the columns, sorted by them."""
    grouped: Any = table.groupby(list(columns))
    return list(grouped)


def _folders(directory: Path) -> Iterator[tuple[Path, list[str]]]:
    seen: set[str] = set()
    for folder, below, names in os.walk(directory, followlinks=True):
        if (place := os.path.realpath(folder)) in seen:  # a link to what encloses it, or to what was there before
            below.clear()
            continue
        seen.add(place)
        # A run directory holds no further runs; not walking its checkpoints keeps a thousand runs quick.
        below[:] = [] if records.FILE in names else sorted(name for name in below if not name.startswith("."))
        yield Path(folder), names


def _recorded(folder: Path) -> Run:
    try:
        record = records.read(folder / records.FILE)
    except ValueError as error:
        return Run(identity="", name=folder.name, status="broken", axes={}, error=str(error), directory=folder)
    return Run(
        identity=record.identity,
        name=record.name,
        status=record.status,
        axes=record.axes,
        overrides=tuple(record.overrides),
        error=f"{record.error['type']}: {record.error['message']}" if record.error else "",
        record=record,
        directory=folder,
        config=configs.read(folder),
    )


def _plan(path: Path, warnings: list[str]) -> list[dict[str, Any]]:
    """The plan, in a list that is empty (and a warning) where it cannot be read."""
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
        common = plan.get("overrides", [])
        planned = [
            Run(
                identity=run.get("identity") or "",
                name=run["name"],
                status="refused" if run.get("refused") else "missing",
                axes=run["axes"],
                overrides=(*common, *run.get("overrides", [])),
                error=run.get("refused") or "",
            )
            for run in plan["runs"]
        ]
        return [{"name": str(plan["name"]), "runs": planned}]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        warnings.append(f"{path}: not a readable plan ({type(error).__name__}: {error}). Missing runs are unknown.")
        return []


def _merged(recorded: list[Run], planned: list[Run]) -> list[Run]:
    """Every record, and every planned run without one; a broken record takes its axes from the plan by name."""
    plans = {run.name: run for run in planned}
    runs = []
    for run in recorded:
        plan = plans.get(run.name)
        if run.status == "broken" and plan is not None:
            run = dataclasses.replace(run, identity=plan.identity, axes=plan.axes, overrides=plan.overrides)
        runs.append(run)
    known = {run.identity for run in runs}
    for run in planned:
        if not run.identity or run.status == "refused" or run.identity not in known:
            runs.append(run)
            known.add(run.identity)
    return runs
