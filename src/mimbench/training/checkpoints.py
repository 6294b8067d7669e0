"""Checkpoints from which a run resumes exactly, wherever it was stopped."""

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from mimbench.runs.directory import PREVIOUS
from mimbench.training.interruption import StopSignals


class Checkpoints(Checkpoint):
    """Saves every few epochs, at the end, and after a stop signal, upon which it raises `InterruptedRun`.

    Lightning 2.6 resumes exactly from the state of its loops at the end of a batch; from a state between two epochs it
    skips or repeats hooks, even whole epochs. A checkpoint therefore contains the loop state at the end of the last
    batch, and is written after validation and logging that follow this batch. As a Lightning `Checkpoint`, this
    callback runs after all others. All ranks agree on the batch after which they stop.

    Args:
        path: The checkpoint file, replaced every time; see `AtomicCheckpointIO`.
        signals: The stop signals; deferred as soon as all ranks have started.
    """

    def __init__(self, path: Path, signals: StopSignals, every_n_epochs: int = 1):
        self.path = path
        self.every_n_epochs = every_n_epochs
        self._signals = signals
        self._loops: dict[str, Any] | None = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._signals.defer()
        # Lightning's handlers call collective operations and kill the other ranks.
        trainer._signal_connector.register_signal_handlers = _keep_handlers

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._signals.defer()
        if self._stop_requested(trainer):
            raise self._signals.error("before the first step")
        epochs = trainer.fit_loop.epoch_progress.current
        if epochs.completed == epochs.ready:  # pyright: ignore[reportAttributeAccessIssue]  # Lightning types the base
            trainer.fit_loop.reset_restart_stage()  # otherwise Lightning starts an epoch without counting it

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._loops = trainer.fit_loop.state_dict()
        # Checkpoints contain no accumulated gradients; after the last batch of an epoch, validation is still to come.
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        ends = trainer.should_stop or batch_idx + 1 == trainer.num_training_batches
        if stepped and not ends and self._stop_requested(trainer):
            trainer._logger_connector.update_train_step_metrics()  # Lightning does so after this hook, which raises
            self._stop(trainer)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._loops is None:
            return
        if self._stop_requested(trainer):
            self._stop(trainer)
        if trainer.current_epoch % self.every_n_epochs == 0:
            self._save(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._stop_requested(trainer):
            self._stop(trainer)
        self._save(trainer)
        if trainer.is_global_zero:
            self.path.with_name(PREVIOUS).unlink(missing_ok=True)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        if self._loops is not None:
            checkpoint["loops"]["fit_loop"] = self._loops

    def _stop_requested(self, trainer: L.Trainer) -> bool:
        received = self._signals.received is not None
        return received if trainer.world_size == 1 else trainer.strategy.reduce_boolean_decision(received, all=False)

    def _stop(self, trainer: L.Trainer) -> None:
        self._save(trainer)
        raise self._signals.error(f"at step {trainer.global_step}")

    def _save(self, trainer: L.Trainer) -> None:
        if self._loops is not None:
            trainer.save_checkpoint(self.path, weights_only=False)


def _keep_handlers() -> None:
    """Replaces Lightning's registration of signal handlers; does nothing."""
