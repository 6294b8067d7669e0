"""Metrics of semantic segmentation."""

from typing import Any

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from mimbench.data.annotated import IGNORED


def confusion(
    predicted: Int64[Tensor, "*shape"], classes: UInt8[Tensor, "*shape"], num_classes: int
) -> Int64[Tensor, "c c"]:
    """Number of pixels by true class (rows) and predicted class (columns), without ignored pixels."""
    counted = classes != IGNORED
    entry = classes[counted].long() * num_classes + predicted[counted]
    return torch.bincount(entry, minlength=num_classes**2).reshape(num_classes, num_classes)


def scores(matrix: Int64[Tensor, "c c"]) -> dict[str, Any]:
    """Metrics over the pixels of all images together, as fractions.

    miou: mean intersection over union of the classes that occur or are predicted. macc: mean accuracy of the classes
    that occur. aacc: accuracy over all pixels. iou: intersection over union by class, None for a class that neither
    occurs nor is predicted.
    """
    matrix = matrix.double()
    correct, true, predicted = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    iou = correct / (true + predicted - correct)
    return {
        "miou": iou.nanmean().item(),
        "macc": (correct / true).nanmean().item(),
        "aacc": (correct.sum() / matrix.sum()).item(),
        "iou": [None if value != value else value for value in iou.tolist()],
    }
