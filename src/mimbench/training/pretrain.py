"""Fits a method and keeps what a run needs."""

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers.logger import Logger

from mimbench.data import ImageDataModule
from mimbench.methods import Method
from mimbench.training.guard import StopOnNonFinite
from mimbench.training.interruption import StopOnSignal
from mimbench.training.metrics import MetricsFile
from mimbench.training.progress import Progress


@dataclass(frozen=True)
class Pretraining:
    """What a finished pre-training tells.

    Attributes:
        metrics: The last value of everything logged.
        seconds: In training, over all parts of an interrupted run.
        images: Images seen, over all devices.
        images_per_second: Their quotient.
    """

    metrics: dict[str, float]
    seconds: float
    images: int
    images_per_second: float


def pretrain(
    method: Method,
    data: ImageDataModule,
    directory: Path,
    epochs: int | None = None,
    steps: int | None = None,
    trainer_options: Mapping[str, Any] | None = None,
    callbacks: Sequence[L.Callback] = (),
    loggers: Sequence[Logger] = (),
    checkpoint_every_n_epochs: int = 10,
    ema: float | None = None,
    resume: Path | None = None,
) -> Pretraining:
    """Trains for a number of epochs or steps, from the newest checkpoint in `directory` if there is one.

    Args:
        ema: Decay of an exponential moving average of the weights, which replaces them at the end.
        resume: Another checkpoint to go on from.

    Raises:
        NonFiniteLossError: The loss became NaN or infinite.
        InterruptedRun: A signal asked to stop; everything is saved.
    """
    directory.mkdir(parents=True, exist_ok=True)
    progress, metrics = Progress(), MetricsFile(directory / "metrics.csv")
    newest = directory / "checkpoints" / "last.ckpt"
    rhythm = {"every_n_epochs": checkpoint_every_n_epochs, "enable_version_counter": False}
    own = [
        StopOnNonFinite(),
        progress,
        _TrimMetrics(metrics),
        StopOnSignal(newest),
        ModelCheckpoint(newest.parent, newest.stem, **rhythm),
    ]
    trainer = L.Trainer(
        default_root_dir=directory,
        max_epochs=epochs if epochs is not None else -1,
        max_steps=steps if steps is not None else -1,
        callbacks=[*own, *callbacks, *([EMAWeightAveraging(decay=ema)] if ema else [])],
        logger=[metrics, *loggers],
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=10,
        **(trainer_options or {}),
    )
    start = resume or (newest if newest.exists() else None)
    begin = time.perf_counter()
    with warnings.catch_warnings():
        # The default data loader is meant to run in the training process at these sizes.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
        trainer.fit(method, datamodule=data, ckpt_path=start, weights_only=True)
    trainer.save_checkpoint(newest, weights_only=False)
    seconds = progress.seconds or time.perf_counter() - begin
    final = {name: float(value) for name, value in trainer.callback_metrics.items()}
    return Pretraining(final, seconds, progress.images, progress.images / seconds)


class _TrimMetrics(L.Callback):
    """Makes the metrics of a resumed run those of an uninterrupted one."""

    def __init__(self, metrics: MetricsFile):
        self.metrics = metrics

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.metrics.trim(trainer.global_step)
