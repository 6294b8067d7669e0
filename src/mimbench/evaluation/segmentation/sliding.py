"""Sliding-window inference for images larger than the input of a network."""

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def starts(length: int, window: int, stride: int) -> list[int]:
    """Positions of windows along one side; the last window ends at the border of the image."""
    last = max(length - window, 0)
    return sorted({min(start, last) for start in range(0, last + stride, stride)})


def slide(
    network: Callable[[Tensor], Tensor], images: Float[Tensor, "b 3 h w"], window: int, stride: int
) -> Float[Tensor, "b c h w"]:
    """Logits of a network on overlapping windows, averaged where they overlap (MMSegmentation's slide mode).

    Args:
        network: Maps a window to logits of the same size. Windows are smaller if the image is.
    """
    height, width = images.shape[-2:]
    total, count = None, images.new_zeros(1, 1, height, width)
    for top in starts(height, window, stride):
        for left in starts(width, window, stride):
            region = (..., slice(top, top + window), slice(left, left + window))
            logits = network(images[region]).float()
            if total is None:
                total = logits.new_zeros(len(images), logits.shape[1], height, width)
            total[region] += logits
            count[region] += 1
    assert total is not None
    return total / count


def resized(logits: Float[Tensor, "b c _ _"], height: int, width: int) -> Float[Tensor, "b c height width"]:
    """Resizes logits bilinearly."""
    return F.interpolate(logits, (height, width), mode="bilinear", align_corners=False)
