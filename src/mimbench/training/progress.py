"""Says how far a run is, in lines that read well in a log file."""

import sys
import time
from typing import Any

import lightning as L
import torch


class Progress(L.Callback):
    """Prints a line every few seconds; logs the learning rate, and images per second once an epoch.

    Attributes:
        seconds: Time spent in training steps and their data so far, over all parts of an interrupted run.
        images: Images trained on so far, over all devices.
    """

    def __init__(self, every_seconds: float = 5.0):
        self.every_seconds = every_seconds
        self.seconds = 0.0
        self.images = 0
        self._spoke = self._since = 0.0
        self._epoch = (self.seconds, self.images)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._since, self._epoch = time.perf_counter(), (self.seconds, self.images)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._since, self._epoch = time.perf_counter(), (self.seconds, self.images)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        pl_module.log("lr", trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if pl_module.device.type == "cuda" and batch_idx + 1 == trainer.num_training_batches:
            torch.cuda.synchronize()  # what is still queued belongs to this epoch's time
        now = time.perf_counter()
        self.seconds += now - self._since
        self.images += len(batch.images) * trainer.world_size
        self._since = now
        if now - self._spoke > self.every_seconds and trainer.is_global_zero:
            self._spoke = now
            self._speak(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.log("throughput", self._rate(), rank_zero_only=True)

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "images": self.images}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds, self.images = state_dict["seconds"], state_dict["images"]

    def _rate(self) -> float:
        seconds, images = self._epoch
        return (self.images - images) / max(self.seconds - seconds, 1e-9)

    def _speak(self, trainer: L.Trainer) -> None:
        total = int(trainer.estimated_stepping_batches)  # known by now, so this loads nothing
        loss = trainer.callback_metrics.get("train/loss")
        share = "" if loss is None else f"  loss {float(loss):.4f}"
        step, rate = trainer.global_step, self._rate()
        print(f"step {step}/{total} ({step / total:.0%}){share}  {rate:.0f} images/s", file=sys.stdout, flush=True)
