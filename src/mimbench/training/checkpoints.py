"""One checkpoint per run, always whole, from which the run goes on exactly."""

import os
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from mimbench.training.interruption import InterruptedRun, StopSignals


class Checkpoints(Checkpoint):
    """Saves every few epochs, at the end, and when a signal asks to stop; then it raises `InterruptedRun`.

    Lightning 2.6 goes on exactly from the state of its loops at the end of a batch; from a state between two epochs it
    skips or repeats hooks, even whole epochs. So a checkpoint holds the loops as they were at the end of the last
    batch, and is written when all that follows this batch has been done and logged. Being a `Checkpoint` it comes after
    all other callbacks. All ranks agree on the batch after which they stop.

    Args:
        path: The one file, replaced every time.
    """

    def __init__(self, path: Path, every_n_epochs: int = 1):
        self.path = path
        self.every_n_epochs = every_n_epochs
        self._signals = StopSignals()
        self._loops: dict[str, Any] | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._signals.install()
        epochs = trainer.fit_loop.epoch_progress.current
        if epochs.completed == epochs.ready:  # pyright: ignore[reportAttributeAccessIssue]  # Lightning types the base
            trainer.fit_loop.reset_restart_stage()  # else Lightning starts an epoch without counting it

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._loops = trainer.fit_loop.state_dict()
        # Gradients are in no checkpoint, and after an epoch's last batch there is still something to do.
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        ends = trainer.should_stop or batch_idx + 1 == trainer.num_training_batches
        if stepped and not ends and self._asked(trainer):
            trainer._logger_connector.update_train_step_metrics()  # else they would come after this hook, never
            self._stop(trainer)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._loops is None:
            return
        if self._asked(trainer):
            self._stop(trainer)
        if trainer.current_epoch % self.every_n_epochs == 0:
            self._save(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._asked(trainer):
            self._stop(trainer)
        self._save(trainer)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        if self._loops is not None:
            checkpoint["loops"]["fit_loop"] = self._loops

    def _asked(self, trainer: L.Trainer) -> bool:
        if trainer.world_size == 1:
            return self._signals.received
        return trainer.strategy.reduce_boolean_decision(self._signals.received, all=False)

    def _stop(self, trainer: L.Trainer) -> None:
        self._save(trainer)
        step = trainer.global_step
        raise InterruptedRun(f"Stopped by a signal at step {step}; the same command goes on from there.")

    def _save(self, trainer: L.Trainer) -> None:
        if self._loops is not None:
            trainer.save_checkpoint(self.path, weights_only=False)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the file, to the disk, and renames; whatever happens, the file is the old or the new one.

    Lightning's own goes through the system's temporary directory, from where a move to another disk is a copy.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        try:
            with part.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
