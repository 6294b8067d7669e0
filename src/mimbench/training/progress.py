"""Says how far a run is, in lines that read well in a log file."""

import sys
import time
from typing import Any

import lightning as L


class Progress(L.Callback):
    """Prints a line every few seconds; logs the learning rate, and images per second once an epoch.

    Attributes:
        seconds: Time spent inside training steps and their data so far.
        images: Images trained on so far, over all devices.
    """

    def __init__(self, every_seconds: float = 5.0):
        self.every_seconds = every_seconds
        self.seconds = 0.0
        self.images = 0
        self._spoke = self._epoch_start = 0.0
        self._epoch_images = 0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._epoch_start, self._epoch_images = time.perf_counter(), 0

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        pl_module.log("lr", trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._epoch_images += len(batch.images) * trainer.world_size
        now = time.perf_counter()
        if now - self._spoke > self.every_seconds and trainer.is_global_zero:
            self._spoke = now
            self._speak(trainer, self._epoch_images / (now - self._epoch_start))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        elapsed = time.perf_counter() - self._epoch_start
        self.seconds += elapsed
        self.images += self._epoch_images
        pl_module.log("throughput", self._epoch_images / elapsed, rank_zero_only=True)

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "images": self.images}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds, self.images = state_dict["seconds"], state_dict["images"]

    def _speak(self, trainer: L.Trainer, rate: float) -> None:
        total = int(trainer.estimated_stepping_batches)  # known by now, so this loads nothing
        loss = trainer.callback_metrics.get("train/loss")
        share = "" if loss is None else f"  loss {float(loss):.4f}"
        line = f"step {trainer.global_step}/{total} ({trainer.global_step / total:.0%}){share}  {rate:.0f} images/s"
        print(line, file=sys.stdout, flush=True)
