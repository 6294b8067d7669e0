"""Fine-tunes a classifier on one dataset and evaluates it on the test split."""

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
    """Fine-tunes the encoder of `subject` in place to the last epoch of the recipe and evaluates it.

    Resumes exactly from the checkpoint in `directory`. The weights after the last epoch are evaluated; the first
    process reads the test split once, after training.

    Args:
        directory: Directory of this encoder, data, recipe and seed; see `folder`.
        num_blocks: Number of last blocks that are trained; by default the whole model.

    Raises:
        ValueError: The data, the encoder and the recipe do not fit together.
        KeyboardInterrupt: A signal requested a stop; the checkpoint is saved.
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
    correct = [] if rank_zero_only.rank else correct_predictions(training.evaluated, data, subject.device)
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
        options: Extra arguments of Lightning's Trainer.

    Raises:
        KeyboardInterrupt: A signal requested a stop; the checkpoint is saved.
    """
    try:
        return pretrain(
            training, data, directory, epochs, steps=steps, trainer_options=options, checkpoint_every_n_epochs=1
        )
    except InterruptedRun as stop:
        print(stop)
        raise KeyboardInterrupt from None


@torch.inference_mode()
def correct_predictions(model: nn.Module, data: ImageDataModule, device: torch.device) -> list[bool]:
    """Whether each test image is classified correctly, computed in fp32."""
    model.to(device).eval()
    correct: list[bool] = []
    for batch in data.plain("test"):
        correct += (model(batch.images.to(device)).argmax(1).cpu() == batch.labels).tolist()
    return correct


def folder(subject: Subject, recipe: object, seed: int) -> Path:
    """Directory of the training with these weights, images and settings, so that no other training resumes there."""
    initial = fingerprint.key(subject.encoder, subject.datamodule, "train")
    return subject.directory / hashlib.sha256(f"{initial} {recipe} {seed}".encode()).hexdigest()[:12]


@rank_zero_only
def forget(directory: Path) -> None:
    """Deletes the checkpoints of a finished training; one takes three times the size of the model."""
    shutil.rmtree(directory / "checkpoints", ignore_errors=True)
