"""The planned runs of a sweep: `sweep.json`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from mimbench.core.files import is_file_name, write_atomic
from mimbench.core.json_files import check_items, check_type, read_json
from mimbench.runs.directory import SWEEP, SWEEP_LOCK
from mimbench.runs.records import check_axis


@dataclass(frozen=True)
class PlannedRun:
    """A run of a sweep, started or not.

    Attributes:
        identity: See `runs.identity`.
        name: Name of the run's directory in the sweep's directory.
        axes: Method, encoder, depth, dataset, seed, and further overrides that can change the result.
        overrides: Hydra overrides that compose its configuration.
        refused: Why its configuration cannot work; None if it can.
    """

    identity: str
    name: str
    axes: Mapping[str, Any]
    overrides: Sequence[str] = field(default_factory=list)
    refused: str | None = None


@dataclass(frozen=True)
class Manifest:
    """A sweep's `sweep.json`.

    Attributes:
        axes: All values of every axis, in order of appearance.
    """

    name: str
    runs: tuple[PlannedRun, ...] = ()

    @property
    def axes(self) -> dict[str, list[Any]]:
        axes: dict[str, list[Any]] = {}
        for run in self.runs:
            for axis, value in run.axes.items():
                if value not in axes.setdefault(axis, []):
                    axes[axis].append(value)
        return axes


def read_manifest(sweep: Path) -> Manifest:
    """The planned runs of a sweep.

    Raises:
        ValueError: `sweep.json` is missing or not valid; the message names the file.
    """
    path = sweep / SWEEP
    try:
        values = read_json(path)
        check_type("name", values.get("name"), str)
        check_type("runs", values.get("runs"), list)
        return Manifest(values["name"], tuple(map(_planned, values["runs"])))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a plan of a sweep: {error} Run the command of the sweep again.") from error


def merge_manifest(directory: Path, name: str, runs: Sequence[PlannedRun]) -> Path:
    """Adds runs to a sweep's `sweep.json`; runs of concurrent and earlier commands are kept.

    Raises:
        ValueError: The file exists and cannot be read.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / SWEEP
    with FileLock(directory / SWEEP_LOCK):
        known = {run.identity: run for run in read_manifest(directory).runs} if path.exists() else {}
        manifest = Manifest(name, tuple((known | {run.identity: run for run in runs}).values()))
        values = {"name": name, "axes": manifest.axes, "runs": [asdict(run) for run in manifest.runs]}
        write_atomic(path, json.dumps(values, indent=2))
    return path


def _planned(values: Any) -> PlannedRun:
    check_type("a run", values, dict)
    for key in ("identity", "name"):
        check_type(key, values.get(key), str)
    check_type("axes", values.get("axes"), dict)
    for axis, value in values["axes"].items():
        check_axis(axis, value)
    overrides, refused = values.get("overrides", []), values.get("refused")
    check_type("overrides", overrides, list)
    check_items("overrides", overrides, str)
    check_type("refused", refused, (str, type(None)))
    if not is_file_name(values["name"]):
        raise ValueError(f"the name {values['name']!r} cannot be the name of a directory.")
    return PlannedRun(values["identity"], values["name"], values["axes"], overrides, refused)
