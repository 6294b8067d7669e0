"""Trains a segmentation network and evaluates it on the test split."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from mimbench.evaluation.base import Subject
from mimbench.evaluation.finetuning.fitting import fit
from mimbench.evaluation.segmentation.data import SegmentationData
from mimbench.evaluation.segmentation.metrics import confusion, scores
from mimbench.evaluation.segmentation.module import Segmentation
from mimbench.evaluation.segmentation.sliding import resized, slide


def segment(subject: Subject, training: Segmentation, data: SegmentationData, directory: Path) -> dict[str, Any]:
    """Trains to the last step; the first process then reads the test split once.

    Resumes exactly from the checkpoint in `directory`.

    Raises:
        ValueError: An image or an annotation is broken; the message names the file.
        KeyboardInterrupt: A signal requested a stop; the checkpoint is saved.
    """
    options = dict(subject.trainer)
    if subject.device.type == "cuda":
        options["sync_batchnorm"] = True
    fitted = fit(training, data, directory, options, steps=training.steps)
    result = {} if rank_zero_only.rank else evaluate(training.model, data, subject.device)
    return {
        **result,
        "num_test": len(data.annotated("test")),
        "classes": list(data.class_names),
        "val_loss": fitted.metrics["val/loss"],
        "val_pixel_accuracy": fitted.metrics["val/pixel_accuracy"],
        "train_seconds": fitted.seconds,
        "images_per_second": fitted.images_per_second,
    }


@torch.inference_mode()
def evaluate(model: nn.Module, data: SegmentationData, device: torch.device) -> dict[str, Any]:
    """Metrics on the test split at the original image sizes, computed in fp32."""
    model.to(device).eval()
    size, num_classes = data.image_size, len(data.class_names)
    total = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    for image, classes in data.whole("test"):
        logits = slide(lambda window: model(window)[0], image[None].to(device), size, max(1, size * 2 // 3))
        predicted = resized(logits, *classes.shape).argmax(1)[0]
        total += confusion(predicted.cpu(), classes, num_classes)
    if not total.sum():
        raise ValueError(
            "No pixel of the test split has a class: all annotations are ignored ones. Choose annotated test images."
        )
    return scores(total)
