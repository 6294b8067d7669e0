"""The runs of a sweep: those with a record, and planned runs without one."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from mimbench.core.files import walk
from mimbench.reporting import configs, variants
from mimbench.reporting.runs import Condition, Run
from mimbench.runs import records
from mimbench.runs.directory import RECORD, SWEEP
from mimbench.runs.manifest import read_manifest
from mimbench.runs.state import State


@dataclass(frozen=True)
class Sweep:
    """All runs, recorded or planned, in the order of the table, and problems found while reading them.

    archived: Whether the directories are those of an unpacked archive, which are not kept.
    """

    name: str
    directory: Path
    runs: tuple[Run, ...]
    warnings: tuple[str, ...]
    archived: bool = False

    @property
    def finished(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.status == State.FINISHED)


def collect(directory: Path) -> Sweep:
    """Reads every record and every plan below a directory.

    Raises:
        ValueError: The directory does not exist or contains neither records nor a plan.
    """
    if not directory.is_dir():
        raise ValueError(f"{directory} is not a directory. Give the directory of a sweep, the one with {SWEEP}.")
    warnings: list[str] = []
    recorded: list[Run] = []
    plans: list[_Plan] = []
    for folder, below, names in walk(directory):
        if RECORD in names:
            recorded.append(_read_run(folder))
            below.clear()  # a run contains no further runs; skipping its folders saves time with many runs
        if SWEEP in names and (plan := _read_plan(folder, warnings)) is not None:
            plans.append(plan)
    runs = _merge(recorded, [run for plan in plans for run in plan.runs])
    if not runs:
        raise ValueError(
            f"{directory} holds no runs: no {RECORD} and no {SWEEP} in it or below. "
            "Give the directory of a sweep, or start one with `mimbench run -m`."
        )
    warnings.extend(f"{run.error} The run is left out." for run in runs if run.unreadable)
    runs = variants.keep_newest(variants.name_variants(runs), warnings)
    runs.sort(key=lambda run: (run.condition is None, run.condition.order if run.condition else (), run.name))
    name = " + ".join(sorted({plan.name for plan in plans})) or directory.resolve().name
    return Sweep(name=name, directory=directory, runs=tuple(runs), warnings=tuple(warnings))


def frame(runs: Iterable[Run]) -> pd.DataFrame:
    """Headline numbers as a tidy table: one row per run and protocol, for the runs with results.

    Columns: identity, name, data, encoder, depth, method, variant, seed, protocol, accuracy (a fraction; the headline
    of the result, see `records.headline`), num_test (number of test images; NaN if the headline is not a share of
    them).
    """
    columns = ["identity", "name", *Condition._fields, "seed", "protocol", "accuracy", "num_test"]
    rows = [
        (run.identity, run.name, *run.condition, run.axes["seed"], protocol, headline.value, headline.num_test)
        for run in runs
        if run.record is not None and run.condition is not None
        for protocol, result in run.record.metrics.items()
        if (headline := records.headline(result)) is not None
    ]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"accuracy": float, "num_test": float})


def groups(table: pd.DataFrame, columns: Sequence[str]) -> list[tuple[tuple[Any, ...], pd.DataFrame]]:
    """The rows of each combination of values in the columns, sorted by these values."""
    grouped: Any = table.groupby(list(columns))
    return list(grouped)


class _Plan(NamedTuple):
    """The planned runs of one `sweep.json`."""

    name: str
    runs: list[Run]


def _read_run(folder: Path) -> Run:
    try:
        record = records.read(folder / RECORD)
    except ValueError as error:
        return Run(identity="", name=folder.name, status=State.LOST, axes={}, error=str(error), directory=folder)
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


def _read_plan(folder: Path, warnings: list[str]) -> _Plan | None:
    """None, and a warning, if the plan cannot be read."""
    try:
        manifest = read_manifest(folder)
    except ValueError as error:
        warnings.append(f"{error} Runs that have not started are not listed.")
        return None
    planned = [
        Run(
            identity=run.identity,
            name=run.name,
            status=State.REFUSED if run.refused else State.PLANNED,
            axes=dict(run.axes),
            overrides=tuple(run.overrides),
            error=run.refused or "",
        )
        for run in manifest.runs
    ]
    return _Plan(manifest.name, planned)


def _merge(recorded: list[Run], planned: list[Run]) -> list[Run]:
    """Every recorded run and every planned run without a record.

    A run whose record cannot be read gets the identity, axes and overrides of the planned run with its name.
    """
    plans = {run.name: run for run in planned}
    runs = []
    for run in recorded:
        plan = plans.get(run.name)
        if run.unreadable and plan is not None:
            run = dataclasses.replace(run, identity=plan.identity, axes=plan.axes, overrides=plan.overrides)
        runs.append(run)
    known = {run.identity for run in runs}
    for run in planned:
        if not run.identity or run.status == State.REFUSED or run.identity not in known:
            runs.append(run)
            known.add(run.identity)
    return runs
