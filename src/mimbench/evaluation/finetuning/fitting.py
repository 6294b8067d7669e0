"""Trains a classifier on one encoder and one dataset, then reads the test split."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.utilities import rank_zero_only
from safetensors.torch import save_file
from torch import nn

from mimbench.core import generator
from mimbench.data import ImageDataModule
from mimbench.evaluation.base import Subject
from mimbench.evaluation.features import fingerprint
from mimbench.evaluation.finetuning.classifier import classifier
from mimbench.evaluation.finetuning.data import FineTuneData
from mimbench.evaluation.finetuning.freezing import train_last
from mimbench.evaluation.finetuning.module import FineTuning
from mimbench.evaluation.finetuning.recipe import FineTuneRecipe
from mimbench.training import InterruptedRun, Pretraining, pretrain

CLASSIFIER = "classifier.safetensors"


def fine_tune(
    subject: Subject,
    recipe: FineTuneRecipe,
    seed: int,
    directory: Path,
    num_blocks: float | None = None,
    grad_checkpointing: bool = False,
) -> dict[str, Any]:
    """Fine-tunes the encoder of `subject`, which is used up, to the last epoch of the recipe.

    Goes on from the checkpoint in `directory`, exactly, after an interruption. Accuracies are of the weights after the
    last epoch; the test split is read then, once, by the first process.

    Args:
        directory: Of this encoder, data, recipe and seed alone; see `folder`.
        num_blocks: How many last blocks train; None: everything.

    Raises:
        ValueError: The data, the encoder and the recipe do not fit together.
        KeyboardInterrupt: A signal asked to stop; everything is saved.
    """
    data = FineTuneData(subject.datamodule, recipe, seed)
    model = classifier(
        subject.encoder, data.num_classes, recipe.pooling, recipe.drop_path, recipe.train_positions, generator(seed)
    )
    if num_blocks is not None:
        train_last(model, num_blocks)
    if grad_checkpointing:
        model.set_grad_checkpointing()  # pyright: ignore[reportCallIssue]
    training = FineTuning(model, recipe, data.num_classes, seed)
    fitted = fit(training, data, directory, subject.trainer, epochs=recipe.epochs)
    if not rank_zero_only.rank:
        save_file({k: v.contiguous() for k, v in training.evaluated.state_dict().items()}, directory / CLASSIFIER)
    correct = [] if rank_zero_only.rank else hits(training.evaluated, data, subject.device)
    return {
        "accuracy": sum(correct) / max(1, len(correct)),
        "num_test": len(data.split("test")),
        "correct": correct,
        "val_accuracy": fitted.metrics["val/accuracy"],
        "val_loss": fitted.metrics["val/loss"],
        "train_seconds": fitted.seconds,
        "images_per_second": fitted.images_per_second,
        "trained_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
    }


def fit(
    training: LightningModule,
    data: ImageDataModule,
    directory: Path,
    options: Mapping[str, Any],
    epochs: int | None = None,
    steps: int | None = None,
) -> Pretraining:
    """Trains to `epochs` or `steps`, from the checkpoint in `directory` if there is one, saving every epoch.

    Args:
        options: What Lightning's Trainer is told.

    Raises:
        KeyboardInterrupt: A signal asked to stop; everything is saved.
    """
    try:
        return pretrain(
            training, data, directory, epochs, steps=steps, trainer_options=options, checkpoint_every_n_epochs=1
        )
    except InterruptedRun as stop:
        print(stop)
        raise KeyboardInterrupt from None


@torch.inference_mode()
def hits(model: nn.Module, data: ImageDataModule, device: torch.device) -> list[bool]:
    """Whether each test image gets its class, in single precision."""
    model.to(device).eval()
    found: list[bool] = []
    for batch in data.plain("test"):
        found += (model(batch.images.to(device)).argmax(1).cpu() == batch.labels).tolist()
    return found


def folder(subject: Subject, recipe: object, seed: int) -> Path:
    """Where a training of these weights, images and settings lies, so that none goes on from another's checkpoint."""
    start = fingerprint.key(subject.encoder, subject.datamodule, "train")
    return subject.directory / hashlib.sha256(f"{start} {recipe} {seed}".encode()).hexdigest()[:12]


@rank_zero_only
def forget(directory: Path) -> None:
    """Deletes the checkpoint of a training that has ended, which is three times the classifier's size."""
    shutil.rmtree(directory / "checkpoints", ignore_errors=True)
