"""Training images for targets that are estimated from data."""

from collections.abc import Mapping
from typing import Any

import torch
from hydra.utils import instantiate
from jaxtyping import Float32
from torch import Tensor

from mimbench.data.source import Source
from mimbench.data.transforms import EvalTransform


def training_images(source: Mapping[str, Any], image_size: int, count: int) -> Float32[Tensor, "n 3 s s"]:
    """Evenly spaced images of the "train" split under the evaluation transform.

    On the meta device, nothing is read and the values are undefined.

    Args:
        source: Configuration of a source.
        count: Number of images; all of the split if it has fewer.
    """
    if torch.empty(0).is_meta:
        return torch.empty(count, 3, image_size, image_size)
    built: Source = instantiate(source)
    split = built.split("train")
    number = min(count, len(split))
    return EvalTransform(image_size)(split.take([i * len(split) // number for i in range(number)]))
