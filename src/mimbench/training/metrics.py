"""The run's own record of every logged number."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger, rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only


class MetricsFile(Logger):
    """Appends `step,metric,value` rows to `metrics.csv`; a resumed run first drops what lies after its checkpoint.

    Lightning's CSVLogger deletes the file of an interrupted run, hence this one.
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
        """The configuration lies beside the file."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        fresh = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["step", "metric", "value"])
            writer.writerows([step, name, repr(float(value))] for name, value in metrics.items() if name != "epoch")

    @rank_zero_only
    def trim(self, step: int) -> None:
        """Drops the rows of `step` and later."""
        if not self.path.exists():
            return
        header, *rows = self.path.read_text().splitlines()
        kept = [row for row in rows if int(row.split(",", 1)[0]) < step]
        part = self.path.with_suffix(".part")
        part.write_text("\n".join([header, *kept]) + "\n")
        part.replace(self.path)
