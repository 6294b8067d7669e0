"""Says how far a run is: in lines that read well in a log file, and in a file for `mimbench status`."""

import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch


class Progress(L.Callback):
    """Prints a line every few seconds; logs the learning rate, and images per second once an epoch.

    Args:
        path: Where to write, as often as a line is printed, how far the run is; nowhere by default.

    Attributes:
        seconds: Time spent in training steps and their data so far, over all parts of an interrupted run.
        device_seconds: The same times devices.
        images: Images trained on so far, over all devices.
    """

    def __init__(self, every_seconds: float = 5.0, path: Path | None = None):
        self.every_seconds = every_seconds
        self.path = path
        self.seconds = self.device_seconds = 0.0
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
        if batch_idx + 1 == trainer.num_training_batches:
            self.settle(trainer, pl_module)  # what is still queued belongs to this epoch's time
        else:
            self._tick(trainer)
        self.images += len(batch.images) * trainer.world_size
        if self._since - self._spoke > self.every_seconds and trainer.is_global_zero:
            self._spoke = self._since
            self._speak(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.log("throughput", self._rate(), rank_zero_only=True)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero:
            self._write(trainer)

    def settle(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Waits for the device and brings the clock up to date; to be called between two steps."""
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize()
        self._tick(trainer)

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "device_seconds": self.device_seconds, "images": self.images}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds, self.images = state_dict["seconds"], state_dict["images"]
        self.device_seconds = state_dict["device_seconds"]

    def _tick(self, trainer: L.Trainer) -> None:
        now = time.perf_counter()
        self.seconds += now - self._since
        self.device_seconds += (now - self._since) * trainer.world_size
        self._since = now

    def _rate(self) -> float:
        """Images per second in this epoch, or in all where it has none yet."""
        seconds, images = self._epoch if self.images > self._epoch[1] else (0.0, 0)
        return (self.images - images) / max(self.seconds - seconds, 1e-9)

    def _speak(self, trainer: L.Trainer) -> None:
        total = _total(trainer)
        loss = trainer.callback_metrics.get("train/loss")
        share = "" if loss is None else f"  loss {float(loss):.4f}"
        step, rate = trainer.global_step, self._rate()
        done = f"{step}/?" if total is None else f"{step}/{total} ({step / total:.0%})"
        print(f"step {done}{share}  {rate:.0f} images/s", file=sys.stdout, flush=True)
        self._write(trainer)

    def _write(self, trainer: L.Trainer) -> None:
        """Whole or not at all; not forced to the disk, since it is only a view."""
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
            "host": platform.node(),
            "pid": os.getpid(),
        }
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        part.write_text(json.dumps(values))
        part.replace(self.path)


def _total(trainer: L.Trainer) -> int | None:
    """Optimiser steps of the whole run, None while nobody knows; known by now, so this loads nothing."""
    total = trainer.estimated_stepping_batches
    return int(total) if total != float("inf") else None
