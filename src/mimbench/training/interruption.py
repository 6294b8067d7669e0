"""Stops a run on a signal without losing a step."""

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L


class InterruptedRun(Exception):
    """A signal asked the run to stop; its state is saved."""


class StopOnSignal(L.Callback):
    """Turns SIGINT and SIGTERM into a flag, saves at the end of the batch and raises `InterruptedRun`.

    Saving inside the handler would lose steps; here all ranks agree on the batch after which they stop. A second
    SIGINT stops at once.
    """

    def __init__(self, checkpoint: Path):
        self.checkpoint = checkpoint
        self._received: int | None = None
        self._previous: dict[int, Any] = {}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._received is not None:
            raise KeyboardInterrupt
        self._received = number

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        stop = self._received is not None
        if trainer.world_size > 1:
            stop = trainer.strategy.reduce_boolean_decision(stop, all=False)
        if stop:
            trainer.save_checkpoint(self.checkpoint, weights_only=False)
            step = trainer.global_step
            raise InterruptedRun(f"Stopped by a signal at step {step}; the same command goes on from there.")

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()
