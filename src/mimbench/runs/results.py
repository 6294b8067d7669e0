"""Stores the results of evaluations in a run's directory."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from mimbench.core.files import write_atomic
from mimbench.runs import correctness, records
from mimbench.runs.directory import EVALUATION, EVALUATION_LOCK, RECORD, RECORD_LOCK
from mimbench.runs.records import BY_STEP, Record


@dataclass(frozen=True)
class ResultStore:
    """Results in `evaluation/*.json` of a directory and in its record; files are replaced atomically.

    Results of a checkpoint are in `NAME@stepN.json`, and in the record under `metrics["by_step"][NAME]["N"]`.

    Attributes:
        directory: A run or imported weights.
        step: Optimizer steps of a checkpoint, otherwise None.
        epoch: Epochs of a checkpoint, otherwise None.
    """

    directory: Path
    step: int | None = None
    epoch: int | None = None

    def has(self, name: str) -> bool:
        """Whether a result exists."""
        return self._file(name).is_file()

    def add(self, name: str, result: Mapping[str, Any]) -> None:
        """Writes a result to its file and the record, which another process may be updating."""
        result = correctness.move_to_file(self.directory, self._file(name).name.removesuffix(".json"), result)
        write_atomic(self._file(name), json.dumps(result, indent=2) + "\n")
        if (self.directory / RECORD).is_file():
            with record_lock(self.directory):
                record = records.read(self.directory / RECORD)
                records.write(replace(record, metrics=self._merged(record.metrics, name, result)), self.directory)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Waits until no other process evaluates in this directory, and keeps others out while the context lasts."""
        folder = self.directory / EVALUATION
        folder.mkdir(exist_ok=True)
        with FileLock(folder / EVALUATION_LOCK):
            yield

    def _file(self, name: str) -> Path:
        step = "" if self.step is None else f"@step{self.step}"
        return self.directory / EVALUATION / f"{name}{step}.json"

    def _merged(self, metrics: Mapping[str, Any], name: str, result: Mapping[str, Any]) -> dict[str, Any]:
        if self.step is None:
            return {**metrics, name: result}
        by_step = metrics.get(BY_STEP, {})
        of_name = by_step.get(name, {}) | {str(self.step): {"epoch": self.epoch, **result}}
        ordered = dict(sorted(of_name.items(), key=lambda item: int(item[0])))
        return {**metrics, BY_STEP: by_step | {name: ordered}}


def record_lock(directory: Path) -> FileLock:
    """The lock to hold while a record is read and rewritten."""
    return FileLock(directory / RECORD_LOCK)


def find_record(directory: Path, identity: str) -> Record | None:
    """The record in a directory if it has this identity; None if it is missing, unreadable or of another run."""
    try:
        record = records.read(directory / RECORD)
    except ValueError:
        return None
    return record if record.identity == identity else None
