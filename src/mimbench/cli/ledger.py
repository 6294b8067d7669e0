"""Results of evaluations, where reports look for them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from mimbench.reporting import correctness, records
from mimbench.reporting.files import write_whole

BY_STEP = "by_step"


@dataclass(frozen=True)
class Ledger:
    """Results in `evaluation/*.json` of a directory and in its record, each file whole at any moment.

    Results of a checkpoint are `NAME@stepN.json`, and in the record metrics["by_step"][NAME]["N"].

    Attributes:
        directory: A run or imported weights.
        step: Of a checkpoint, else None.
        epoch: Of a checkpoint, else None.
    """

    directory: Path
    step: int | None = None
    epoch: int | None = None

    def has(self, name: str) -> bool:
        """Whether a result is there already."""
        return self._file(name).is_file()

    def add(self, name: str, result: Mapping[str, Any]) -> None:
        """Writes a result; the record may be another process's, which goes on writing it."""
        result = correctness.kept(self.directory, self._file(name).name.removesuffix(".json"), result)
        write_whole(self._file(name), json.dumps(result, indent=2) + "\n")
        if (self.directory / records.FILE).is_file():
            with record_lock(self.directory):
                record = records.read(self.directory / records.FILE)
                records.write(replace(record, metrics=self._merged(record.metrics, name, result)), self.directory)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Waits until no other process evaluates the same."""
        folder = self.directory / "evaluation"
        folder.mkdir(exist_ok=True)
        with FileLock(folder / ".lock"):
            yield

    def _file(self, name: str) -> Path:
        step = "" if self.step is None else f"@step{self.step}"
        return self.directory / "evaluation" / f"{name}{step}.json"

    def _merged(self, metrics: Mapping[str, Any], name: str, result: Mapping[str, Any]) -> dict[str, Any]:
        if self.step is None:
            return {**metrics, name: result}
        by_step = metrics.get(BY_STEP, {})
        of_name = by_step.get(name, {}) | {str(self.step): {"epoch": self.epoch, **result}}
        ordered = dict(sorted(of_name.items(), key=lambda item: int(item[0])))
        return {**metrics, BY_STEP: by_step | {name: ordered}}


def record_lock(directory: Path) -> FileLock:
    """Held by whoever reads and rewrites a directory's record, for that moment."""
    return FileLock(directory / ".record.lock")


def foreign_results(directory: Path) -> dict[str, Any]:
    """Results of checkpoints that a directory's record holds already; nothing where there is none."""
    try:
        metrics = records.read(directory / records.FILE).metrics
    except ValueError:  # none yet, or one that cannot be read
        return {}
    return {name: value for name, value in metrics.items() if name == BY_STEP}
