"""Trains a detector on one encoder and one dataset, then reads the test split."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only

from mimbench.data.source import SplitName
from mimbench.encoders import SwinEncoder
from mimbench.evaluation.base import Subject
from mimbench.evaluation.dense.resizing import AnySize
from mimbench.evaluation.dense.windows import Windows
from mimbench.evaluation.detection.data import DetectionBatch, DetectionData
from mimbench.evaluation.detection.detector import Detector, rescale
from mimbench.evaluation.detection.module import DetectionTraining
from mimbench.evaluation.detection.precision import AveragePrecision
from mimbench.evaluation.detection.pyramid import Backbone
from mimbench.evaluation.detection.recipe import DetectionRecipe
from mimbench.evaluation.finetuning.augmentation import drawn_from
from mimbench.evaluation.finetuning.classifier import set_drop_path
from mimbench.evaluation.finetuning.fitting import fit


def train_detector(
    subject: Subject, recipe: DetectionRecipe, seed: int, directory: Path, grad_checkpointing: bool = False
) -> dict[str, Any]:
    """Trains a detector to the last epoch of the recipe and evaluates it; changes the encoder of `subject` in place.

    Resumes exactly from the checkpoint in `directory`. The weights after the last epoch are evaluated; the first
    process reads the test split once, after training.

    Raises:
        ValueError: The data, the encoder and the recipe do not fit together.
        KeyboardInterrupt: A signal requested a stop; the checkpoint is saved.
    """
    data = DetectionData(subject.datamodule, recipe, seed)
    model = detector(subject, recipe, len(data.object_names), seed, grad_checkpointing)
    training = DetectionTraining(model, recipe, seed)
    fitted = fit(training, data, directory, subject.trainer, epochs=recipe.epochs)
    if rank_zero_only.rank:
        return {}
    val, test = (precision(model, data, name, subject.device) for name in ("val", "test"))
    return {
        **test,
        "num_test": len(data.split("test")),
        **{f"val_{name}": val[name] for name in ("ap_box", "ap_mask") if name in val},
        "val_loss": fitted.metrics["val/loss"],
        "train_seconds": fitted.seconds,
        "images_per_second": fitted.images_per_second,
    }


def detector(
    subject: Subject, recipe: DetectionRecipe, num_classes: int, seed: int, grad_checkpointing: bool = False
) -> Detector:
    """Mask R-CNN on the encoder of `subject`; new parameters are initialized from the seed."""
    encoder = subject.encoder
    trunk = encoder.trunk
    trunk.requires_grad_(not recipe.frozen)
    for name in ("attn_pool", "fc_norm", "head", *(("norm",) if isinstance(encoder, SwinEncoder) else ())):
        if (unused := getattr(trunk, name, None)) is not None:
            unused.requires_grad_(False)  # the pyramid does not read it; DDP fails on parameters without a gradient
    set_drop_path(trunk, recipe.drop_path)
    windows = None
    if not isinstance(encoder, SwinEncoder):
        windows = Windows(
            encoder.depth, encoder.taps[0].prefix, recipe.window, min(recipe.global_blocks, encoder.depth)
        )
    with drawn_from(seed):
        backbone = Backbone(AnySize(encoder, windows, grad_checkpointing), recipe.width, recipe.frozen)
        return Detector(backbone, num_classes, recipe.score_threshold, recipe.proposals).to(subject.device)


@torch.inference_mode()
def precision(model: Detector, data: DetectionData, name: SplitName, device: torch.device) -> dict[str, float]:
    """Average precision on a split, computed in fp32."""
    model.to(device).eval()
    split, scores = data.annotated(name), AveragePrecision(data.object_names)
    batch: DetectionBatch
    for batch in data.plain(name):
        found = model.detect(batch.images.to(device), batch.sizes.to(device))
        for i, scaled, one in zip(batch.index.tolist(), batch.sizes.tolist(), found, strict=True):
            objects = split.objects(i)
            height, width = objects.masks.shape[1:]
            one = rescale(one | {"labels": one["labels"] - 1}, scaled, (height, width))
            scores.add(i, (height, width), objects, {key: value.cpu() for key, value in one.items()})
    return scores.compute()
