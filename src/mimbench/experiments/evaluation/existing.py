"""Finds the run whose pre-training a configuration repeats, and the protocols that are missing there."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from mimbench.evaluation import Protocol
from mimbench.experiments.build import build_protocols
from mimbench.experiments.config import sweep_directory
from mimbench.runs import directory, records
from mimbench.runs.directory import CONFIG, RECORD, SWEEP
from mimbench.runs.identity import pretraining
from mimbench.runs.manifest import PlannedRun, read_manifest
from mimbench.runs.results import ResultStore


def use_existing(config: Mapping[str, Any], run: PlannedRun, sweep: Path | None = None) -> PlannedRun:
    """The plan with identity and name of an existing run of the sweep that differs in its protocols only.

    Pre-training does not depend on protocols, so it is not repeated for others. A run that exists itself, or was
    planned under its own name, is returned as it is.

    Args:
        sweep: Directory of the sweep; by default that of the configuration.
    """
    sweep = sweep_directory(dict(config)) if sweep is None else sweep
    if (sweep / run.name).exists():
        return run
    wanted = pretraining(config)
    for path in sorted(sweep.glob(f"{_escaped(run.name.rpartition('-')[0])}-*/{CONFIG}")):
        if _pretraining(path, path.stat().st_mtime_ns) == wanted and run.name not in _planned(sweep):
            found = path.parent.name
            return replace(run, name=found, identity=_identity(path.parent) or found.rpartition("-")[2])
    return run


def missing_protocols(config: Mapping[str, Any], run: Path) -> dict[str, Protocol]:
    """The protocols of a configuration without a result in a finished run, by key of `protocol`."""
    store = ResultStore(run)
    known = records.read(run / RECORD).metrics
    protocols = zip(config.get("protocol") or {}, build_protocols(config), strict=True)
    return {
        key: protocol for key, protocol in protocols if protocol.label not in known and not store.has(protocol.label)
    }


@lru_cache(maxsize=4096)
def _pretraining(path: Path, modified: int) -> str | None:
    """What identifies the pre-training of an existing run; None if its configuration cannot be read."""
    try:
        return pretraining(directory.config(path.parent))
    except ValueError:
        return None


def _identity(run: Path) -> str | None:
    try:
        return records.read(run / RECORD).identity
    except ValueError:
        return None


def _planned(sweep: Path) -> set[str]:
    try:
        return {run.name for run in read_manifest(sweep).runs} if (sweep / SWEEP).exists() else set()
    except ValueError:
        return set()


def _escaped(name: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)
