"""The list of runs a sweep consists of."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock


@dataclass(frozen=True)
class PlannedRun:
    """One cell of a sweep.

    Attributes:
        identity: See `identity`.
        name: The run's directory in the sweep's directory.
        axes: What tells it apart in tables.
        overrides: The command-line words that make it.
        refused: Why it cannot exist, or None.
    """

    identity: str
    name: str
    axes: Mapping[str, Any]
    overrides: Sequence[str] = field(default_factory=list)
    refused: str | None = None


def merge_manifest(directory: Path, name: str, runs: Sequence[PlannedRun]) -> Path:
    """Adds runs to a sweep's `sweep.json`, so that a later command, or one at the same time, loses nothing."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "sweep.json"
    with FileLock(directory / ".sweep.lock"):
        known = {run["identity"]: run for run in json.loads(path.read_text())["runs"]} if path.exists() else {}
        known |= {run.identity: asdict(run) for run in runs}
        manifest = {"name": name, "axes": _axes(known.values()), "runs": list(known.values())}
        part = path.with_name(f".{path.name}.part")
        part.write_text(json.dumps(manifest, indent=2))
        part.replace(path)
    return path


def _axes(runs: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """All values of every axis, in order of appearance."""
    axes: dict[str, list[Any]] = {}
    for run in runs:
        for axis, value in run["axes"].items():
            if value not in axes.setdefault(axis, []):
                axes[axis].append(value)
    return axes
