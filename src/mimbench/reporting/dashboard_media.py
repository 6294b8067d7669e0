"""Sends pictures to trackers while a run trains."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import lightning as L


@runtime_checkable
class ShowsPictures(Protocol):
    """A logger with a place for pictures."""

    def log_reconstructions(self, path: Path, step: int | None = None) -> None: ...


class Pictures(L.Callback):
    """Sends reconstructions whenever `Reconstructions` has renewed them; goes after it."""

    def __init__(self, loggers: Sequence[ShowsPictures], directory: Path):
        self.loggers, self.path = loggers, directory / "figures" / "reconstructions.png"
        self._sent = self._written()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._send(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._send(trainer)

    def _send(self, trainer: L.Trainer) -> None:
        if trainer.is_global_zero and (written := self._written()) != self._sent:
            self._sent = written
            for logger in self.loggers:
                logger.log_reconstructions(self.path, max(0, trainer.global_step - 1))

    def _written(self) -> int:
        return self.path.stat().st_mtime_ns if self.path.is_file() else 0
