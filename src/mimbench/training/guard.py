"""Stops a run whose loss or weights are not finite."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch


class NonFiniteLossError(RuntimeError):
    """The loss or a weight became NaN or infinite."""


class StopOnNonFinite(L.Callback):
    """Raises `NonFiniteLossError` with the step, the loss terms and the last good checkpoint.

    On a CPU the loss is checked at every step; on other devices every `every_n_steps` steps, since a check waits for
    the device. Before a checkpoint is written, the loss and all weights are checked, so that every checkpoint is good.

    Args:
        checkpoint: Path of the run's checkpoint.
    """

    def __init__(self, checkpoint: Path, every_n_steps: int = 50):
        self.checkpoint = checkpoint
        self.every_n_steps = every_n_steps
        self._loss: torch.Tensor | None = None

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._loss = outputs["loss"] if isinstance(outputs, Mapping) else outputs
        if pl_module.device.type == "cpu" or trainer.global_step % self.every_n_steps == 0:
            self._check_loss(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._check_loss(trainer)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        self._check_loss(trainer)
        for name, value in checkpoint["state_dict"].items():
            if not bool(torch.isfinite(value).all()):
                self._stop(trainer, f"{name} has values that are not finite")

    def _check_loss(self, trainer: L.Trainer) -> None:
        loss = self._loss
        if trainer.world_size > 1:  # all ranks must stop together, so they check the mean over all
            loss = trainer.callback_metrics.get("train/loss", loss)
        if loss is not None and not bool(torch.isfinite(loss)):
            self._stop(trainer, f"The loss is {float(loss)}")

    def _stop(self, trainer: L.Trainer, cause: str) -> None:
        terms = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("train/loss")}
        good = self.checkpoint if self.checkpoint.exists() else "none was saved"
        raise NonFiniteLossError(
            f"{cause} at step {trainer.global_step} (epoch {trainer.current_epoch}). "
            f"Loss terms: {terms}. Last good checkpoint: {good}. "
            "Try a lower optim.base_lr or trainer.precision=32-true."
        )
