"""Progress of a run: lines for the log, and a file that `mimbench status` reads."""

import sys
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch

from mimbench.runs.progress import TRAINING, write_progress


class Progress(L.Callback):
    """Prints progress every few seconds; logs the learning rate, and images per second once per epoch.

    Args:
        path: A file that is updated whenever a line is printed; none by default.

    Attributes:
        seconds: Time in training steps and data loading so far, over all parts of an interrupted run.
        device_seconds: `seconds` times devices.
        images: Images trained on so far, over all devices.
    """

    def __init__(self, every_seconds: float = 5.0, path: Path | None = None):
        self.every_seconds = every_seconds
        self.path = path
        self.seconds = self.device_seconds = 0.0
        self.images = 0
        self._last_report = self._clock = 0.0
        self._epoch_start = (self.seconds, self.images)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._clock, self._epoch_start = time.perf_counter(), (self.seconds, self.images)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._clock, self._epoch_start = time.perf_counter(), (self.seconds, self.images)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        pl_module.log("lr", trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx + 1 == trainer.num_training_batches:
            self.synchronize(trainer, pl_module)  # work still queued belongs to this epoch's time
        else:
            self._update_clock(trainer)
        self.images += len(batch.images) * trainer.world_size
        if self._clock - self._last_report > self.every_seconds and trainer.is_global_zero:
            self._last_report = self._clock
            self._report(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.log("throughput", self._rate(), rank_zero_only=True)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero:
            self._write(trainer)

    def synchronize(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Waits for the device and updates the clock; call it between two steps."""
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize()
        self._update_clock(trainer)

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "device_seconds": self.device_seconds, "images": self.images}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds, self.images = state_dict["seconds"], state_dict["images"]
        self.device_seconds = state_dict["device_seconds"]

    def _update_clock(self, trainer: L.Trainer) -> None:
        now = time.perf_counter()
        self.seconds += now - self._clock
        self.device_seconds += (now - self._clock) * trainer.world_size
        self._clock = now

    def _rate(self) -> float:
        """Images per second in this epoch, or in the whole run if the epoch has just begun."""
        seconds, images = self._epoch_start if self.images > self._epoch_start[1] else (0.0, 0)
        return (self.images - images) / max(self.seconds - seconds, 1e-9)

    def _report(self, trainer: L.Trainer) -> None:
        total = _total(trainer)
        loss = trainer.callback_metrics.get("train/loss")
        shown = "" if loss is None else f"  loss {float(loss):.4f}"
        step, rate = trainer.global_step, self._rate()
        done = f"{step}/?" if total is None else f"{step}/{total} ({step / total:.0%})"
        print(f"step {done}{shown}  {rate:.0f} images/s", file=sys.stdout, flush=True)
        self._write(trainer)

    def _write(self, trainer: L.Trainer) -> None:
        if self.path is None:
            return
        step, total, rate = trainer.global_step, _total(trainer), self._rate()
        per_step = self.images / max(step, 1)
        values = {
            "step": step,
            "total": total,
            "steps_per_epoch": max(1, int(trainer.num_training_batches) // trainer.accumulate_grad_batches),
            "images_per_second": rate,
            "seconds_left": None if total is None or not rate else max(0, total - step) * per_step / rate,
        }
        write_progress(self.path, TRAINING, **values)


def _total(trainer: L.Trainer) -> int | None:
    """Optimizer steps of the whole run; None while a budget of seconds is not yet converted to steps."""
    total = trainer.estimated_stepping_batches
    return int(total) if total != float("inf") else None
