"""Large-scale jitter: images and their objects scaled, flipped, and cut or padded to a square."""

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
        image: Normalized; zeros beyond `size`.
        size: Height and width of what is no padding.
        target: Boxes, labels from 1 and masks of its objects; crowds are left out.
    """

    image: Float[Tensor, "3 s s"]
    size: tuple[int, int]
    target: dict[str, Tensor]


def fitted(height: int, width: int, side: int, scale: float = 1.0) -> tuple[int, int]:
    """Height and width of an image that is scaled to lie within a square of `scale` times `side`, tightly."""
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
    """A random scale within the range, a random place where that is larger than the square, flipped or not.

    As in ViTDet (after Ghiasi et al. 2021): the scale is relative to the largest that fits the square. Objects of which
    nothing is left are dropped; boxes are cut, not drawn anew around the mask.

    Args:
        draws: From [0, 1): scale, row, column, horizontal flips.
    """
    scale = scale_range[0] + (scale_range[1] - scale_range[0]) * float(draws[0])
    height, width = fitted(image.shape[1], image.shape[2], side, scale)
    shown = min(height, side), min(width, side)
    corner = int(draws[1] * (height - shown[0] + 1)), int(draws[2] * (width - shown[1] + 1))
    return _placed(image, objects, side, (height, width), corner, flip and bool(draws[3] < 0.5))


def plain(image: UInt8[Tensor, "3 h w"], objects: Objects, side: int) -> Example:
    """The largest scale that fits the square, nothing random."""
    size = fitted(image.shape[1], image.shape[2], side)
    return _placed(image, objects, side, size, (0, 0), False)


def _placed(
    image: Tensor, objects: Objects, side: int, size: tuple[int, int], corner: tuple[int, int], flip: bool
) -> Example:
    kept = ~objects.crowd
    boxes, masks, labels = objects.boxes[kept], objects.masks[kept], objects.labels[kept]
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
    left = ((boxes[:, 2:] - boxes[:, :2]) > 0.5).all(1) & masks.flatten(1).any(1)
    canvas = torch.zeros(3, side, side)
    canvas[:, :height, :width] = normalize(resized[None])[0]
    return Example(
        canvas,
        (height, width),
        {"boxes": boxes[left], "labels": labels[left] + 1, "masks": masks[left].to(torch.uint8)},
    )
