"""The list of runs a sweep consists of."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


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
    """Adds runs to a sweep's `sweep.json`, so that a later command extends a sweep and loses nothing."""
    path = directory / "sweep.json"
    known: dict[str, dict[str, Any]] = {}
    if path.exists():
        known = {run["identity"]: run for run in json.loads(path.read_text())["runs"]}
    known |= {run.identity: asdict(run) for run in runs}
    axes: dict[str, list[Any]] = {}
    for run in known.values():
        for axis, value in run["axes"].items():
            if value not in axes.setdefault(axis, []):
                axes[axis].append(value)
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"name": name, "axes": axes, "runs": list(known.values())}, indent=2)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text)
    part.replace(path)
    return path
