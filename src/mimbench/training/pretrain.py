"""Pre-training of a method in a run directory."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.loggers.logger import Logger

from mimbench.data import ImageDataModule
from mimbench.runs.directory import CHECKPOINTS, LAST, METRICS, PROGRESS, checkpoint
from mimbench.training.allocation import keep_freed_memory
from mimbench.training.budget import Budget, SecondsBudget
from mimbench.training.checkpoints import Checkpoints
from mimbench.training.cluster import cluster_environment
from mimbench.training.guard import StopOnNonFinite
from mimbench.training.interruption import StopSignals
from mimbench.training.metrics import MetricsFile
from mimbench.training.progress import Progress
from mimbench.training.saving import AtomicCheckpointIO


@dataclass(frozen=True)
class Pretraining:
    """Results of a finished pre-training.

    Attributes:
        metrics: The last value of every metric in `metrics.csv`.
        seconds: Training time, over all parts of an interrupted run.
        images: Images trained on, over all devices.
        images_per_second: `images` divided by `seconds`.
        steps: Optimizer steps.
        device_seconds: Training time times devices.
    """

    metrics: dict[str, float]
    seconds: float
    images: int
    images_per_second: float
    steps: int
    device_seconds: float


def pretrain(
    method: L.LightningModule,
    data: ImageDataModule,
    directory: Path,
    epochs: int | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    trainer_options: Mapping[str, Any] | None = None,
    callbacks: Sequence[L.Callback] = (),
    loggers: Sequence[Logger] = (),
    checkpoint_every_n_epochs: int = 10,
    ema: float | None = None,
    resume: Path | None = None,
) -> Pretraining:
    """Trains for epochs, steps or device-seconds, from the newest checkpoint in `directory` if there is one.

    Args:
        seconds: Budget in device-seconds; see `SecondsBudget`.
        ema: Decay of an exponential moving average of the weights, which is used in validation and replaces the
            weights at the end.
        resume: A checkpoint to start from if `directory` has none.

    Raises:
        NonFiniteLossError: The loss or a weight became NaN or infinite.
        InterruptedRun: A signal stopped the run; its state is saved.
        KeyboardInterrupt: A second Ctrl-C, or one before training began; nothing was saved.
        NotSavedError: A checkpoint could not be written; the previous one is kept.
        ValueError: There is no budget, or more than one.
    """
    Budget(epochs=epochs, steps=steps, seconds=seconds)  # raises ValueError unless exactly one is given
    directory.mkdir(parents=True, exist_ok=True)
    progress, metrics = Progress(path=directory / PROGRESS), MetricsFile(directory / METRICS)
    signals, newest = StopSignals(), directory / CHECKPOINTS / LAST
    limit = [SecondsBudget(seconds, progress)] if seconds is not None else []
    own = [StopOnNonFinite(newest), progress, *limit, _TrimMetrics(metrics), _FinishLastStep()]
    # Buffers may hold indices, which must not be averaged.
    average = [EMAWeightAveraging(decay=ema, use_buffers=False)] if ema else []
    trainer = L.Trainer(
        default_root_dir=directory,
        max_epochs=epochs if epochs is not None else -1,
        max_steps=steps if steps is not None else -1,
        callbacks=[*own, *callbacks, *average, Checkpoints(newest, signals, checkpoint_every_n_epochs)],
        logger=[metrics, *loggers],
        plugins=[AtomicCheckpointIO(), cluster_environment()],
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=min(10, data.steps_per_epoch),
        **(trainer_options or {}),
    )
    if trainer.strategy.root_device.type == "cpu":
        keep_freed_memory()
    with _ignore_warnings(), signals:
        start = checkpoint(directory, set_aside=True) or resume
        trainer.fit(method, datamodule=data, ckpt_path=start, weights_only=True)
    rate = progress.images / max(progress.seconds, 1e-9)
    return Pretraining(
        metrics.last(), progress.seconds, progress.images, rate, trainer.global_step, progress.device_seconds
    )


@contextmanager
def _ignore_warnings() -> Iterator[None]:
    """Suppresses warnings about intended behavior."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers")  # small datasets need none
        warnings.filterwarnings("ignore", message="The `srun` command is available")  # not a SLURM job
        warnings.filterwarnings("ignore", message=".*self.log\\('throughput'.*sync_dist")  # equal on all ranks
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view")  # not modified in place
        warnings.filterwarnings("ignore", message=".*WeightAveraging callback with a model")  # weights are not sharded
        warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)  # Lightning 2.6 on torch 2.15
        warnings.filterwarnings("ignore", message=".*in eval mode at the start of training")  # frozen teachers
        yield


class _TrimMetrics(L.Callback):
    """Removes metrics after the checkpoint, so that a resumed run equals an uninterrupted one."""

    def __init__(self, metrics: MetricsFile):
        self.metrics = metrics

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.metrics.trim(trainer.global_step)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        self.metrics.sync()  # even after a power failure, a checkpoint must not be newer than the metrics


class _FinishLastStep(L.Callback):
    """Makes Lightning log and validate the last step, even if a budget of steps ends within an epoch."""

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step >= trainer.estimated_stepping_batches:
            trainer.should_stop = True
