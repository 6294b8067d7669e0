"""metrics.csv: all logged values of a run."""

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from mimbench.core.files import write_atomic

_HEADER = "step,metric,value"


class MetricsFile(Logger):
    """Appends `step,metric,value` rows to `metrics.csv`; a resumed run first removes the rows after its checkpoint.

    Replaces Lightning's CSVLogger, which deletes the file of an interrupted run.
    """

    def __init__(self, path: Path):
        super().__init__()
        self.path = path

    @property
    def name(self) -> str:
        return "metrics"

    @property
    def version(self) -> str:
        return ""

    @property
    @rank_zero_experiment
    def experiment(self) -> "MetricsFile":
        return self

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing; the run directory contains the configuration."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                file.write(f"{_HEADER}\n")
            writer.writerows([step, name, repr(float(value))] for name, value in metrics.items() if name != "epoch")

    def last(self) -> dict[str, float]:
        """The last value of every metric; empty if nothing was logged."""
        return {row["metric"]: float(row["value"]) for row in csv.DictReader(self._lines())}

    @rank_zero_only
    def trim(self, step: int) -> None:
        """Removes the rows of `step` and later, and an incomplete line left by a killed run."""
        rows = [line for line in self._lines()[1:] if int(line.split(",", 1)[0]) < step]
        write_atomic(self.path, "".join(f"{line}\n" for line in (_HEADER, *rows)))

    @rank_zero_only
    def sync(self) -> None:
        """Forces the file to disk."""
        if self.path.exists():
            with self.path.open("a") as file:
                os.fsync(file.fileno())

    def _lines(self) -> list[str]:
        text = self.path.read_text() if self.path.exists() else ""
        return text[: text.rfind("\n") + 1].splitlines()
