"""How well classes of pixels were told."""

from typing import Any

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from mimbench.data.annotated import IGNORED


def confusion(
    predicted: Int64[Tensor, "*shape"], classes: UInt8[Tensor, "*shape"], num_classes: int
) -> Int64[Tensor, "c c"]:
    """Numbers of pixels by true class (rows) and predicted class; ignored pixels count nowhere."""
    counted = classes != IGNORED
    place = classes[counted].long() * num_classes + predicted[counted]
    return torch.bincount(place, minlength=num_classes**2).reshape(num_classes, num_classes)


def scores(matrix: Int64[Tensor, "c c"]) -> dict[str, Any]:
    """Metrics as fractions, of the pixels of all images together.

    miou: mean intersection over union of the classes that occur or were predicted. macc: mean accuracy of the classes
    that occur. aacc: pixels that got their class. iou: per class, None for one that is in neither.
    """
    matrix = matrix.double()
    right, true, predicted = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    iou = right / (true + predicted - right)
    return {
        "miou": iou.nanmean().item(),
        "macc": (right / true).nanmean().item(),
        "aacc": (right.sum() / matrix.sum()).item(),
        "iou": [None if value != value else value for value in iou.tolist()],
    }
