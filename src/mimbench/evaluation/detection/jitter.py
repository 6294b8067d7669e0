"""Large-scale jitter: scales images with their objects, flips them, and crops or pads them to a square.

torchvision's `ScaleJitter` and `RandomCrop` draw from the global generator; here a crop is a function of given numbers,
so that devices, workers and resuming do not change it.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, UInt8
from numpy import ndarray
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from mimbench.data.annotated import Objects
from mimbench.data.transforms import normalize


class Example(NamedTuple):
    """One image for a detector.

    Attributes:
        image: Normalized, with zeros as padding.
        size: Height and width in pixels without padding.
        target: `boxes`, `labels` from 1 and `masks` of the objects; crowds are left out.
    """

    image: Float[Tensor, "3 s s"]
    size: tuple[int, int]
    target: dict[str, Tensor]


def fitted(height: int, width: int, side: int, scale: float = 1.0) -> tuple[int, int]:
    """Height and width of an image scaled so that its longer side is `scale` times `side`."""
    factor = scale * side / max(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def jittered(
    image: UInt8[Tensor, "3 h w"],
    objects: Objects,
    side: int,
    draws: Float64[ndarray, " 4"],
    scale_range: tuple[float, float],
    flip: bool,
) -> Example:
    """Scales an image by a random factor, crops it at a random position if it exceeds the square, and may flip it.

    As in ViTDet (after Ghiasi et al. 2021), a scale of 1 is the largest that fits the square. Objects outside the crop
    are dropped. Boxes are clipped to the crop; they are not recomputed from the masks.

    Args:
        draws: Random numbers from [0, 1) for scale, row, column and flip.
    """
    scale = scale_range[0] + (scale_range[1] - scale_range[0]) * float(draws[0])
    height, width = fitted(image.shape[1], image.shape[2], side, scale)
    cropped = min(height, side), min(width, side)
    corner = int(draws[1] * (height - cropped[0] + 1)), int(draws[2] * (width - cropped[1] + 1))
    return _transform(image, objects, side, (height, width), corner, flip and bool(draws[3] < 0.5))


def plain(image: UInt8[Tensor, "3 h w"], objects: Objects, side: int) -> Example:
    """Scales an image to the largest size that fits the square."""
    size = fitted(image.shape[1], image.shape[2], side)
    return _transform(image, objects, side, size, (0, 0), False)


def _transform(
    image: Tensor, objects: Objects, side: int, size: tuple[int, int], corner: tuple[int, int], flip: bool
) -> Example:
    single = ~objects.crowd
    boxes, masks, labels = objects.boxes[single], objects.masks[single], objects.labels[single]
    boxes = boxes * torch.tensor([size[1] / image.shape[2], size[0] / image.shape[1]] * 2)
    rows = slice(corner[0], corner[0] + min(size[0] - corner[0], side))
    columns = slice(corner[1], corner[1] + min(size[1] - corner[1], side))
    resized = F.resize(image, list(size), antialias=True)[:, rows, columns].float()
    masks = F.resize(masks, list(size), F.InterpolationMode.NEAREST)[:, rows, columns]
    height, width = resized.shape[1:]
    limits = torch.tensor([width, height, width, height])
    boxes = (boxes - torch.tensor([corner[1], corner[0]] * 2)).clamp(min=0).minimum(limits)
    if flip:
        resized, masks = resized.flip(-1), masks.flip(-1)
        boxes = torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], dim=1)
    visible = ((boxes[:, 2:] - boxes[:, :2]) > 0.5).all(1) & masks.flatten(1).any(1)
    canvas = torch.zeros(3, side, side)
    canvas[:, :height, :width] = normalize(resized[None])[0]
    return Example(
        canvas,
        (height, width),
        {"boxes": boxes[visible], "labels": labels[visible] + 1, "masks": masks[visible].to(torch.uint8)},
    )
