"""Logs reconstructions to trackers while a run trains."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import lightning as L

from mimbench.runs.directory import FIGURES, RECONSTRUCTIONS


@runtime_checkable
class ReconstructionLogger(Protocol):
    """A logger that accepts images."""

    def log_reconstructions(self, path: Path, step: int | None = None) -> None: ...


class LogReconstructions(L.Callback):
    """Logs the figure of `Reconstructions` each time it has changed; must come after that callback."""

    def __init__(self, loggers: Sequence[ReconstructionLogger], directory: Path):
        self.loggers, self.path = loggers, directory / FIGURES / RECONSTRUCTIONS
        self._logged = self._modified()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._log(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._log(trainer)

    def _log(self, trainer: L.Trainer) -> None:
        if trainer.is_global_zero and (modified := self._modified()) != self._logged:
            self._logged = modified
            for logger in self.loggers:
                logger.log_reconstructions(self.path, max(0, trainer.global_step - 1))

    def _modified(self) -> int:
        """Modification time of the figure in nanoseconds; 0 if there is none."""
        return self.path.stat().st_mtime_ns if self.path.is_file() else 0
