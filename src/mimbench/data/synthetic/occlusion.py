"""Overlapping shapes and the annotation that follows from them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64, UInt8
from torch import Tensor
from torchvision.ops import masks_to_boxes

from mimbench.data.annotated import Objects
from mimbench.data.synthetic.shapes import OUTLINES

MIN_PIXELS = 9  # visible share of an object that is annotated


class Layers(NamedTuple):
    """Shapes from the back to the front.

    Attributes:
        covers: Coverage of each pixel by each shape, from 0 to 1.
        labels: Classes of the shapes.
    """

    covers: Float64[np.ndarray, "k h w"]
    labels: Int64[np.ndarray, " k"]

    @property
    def masks(self) -> Bool[Tensor, "k h w"]:
        """Pixels that each shape covers by half or more, without occlusion."""
        return torch.from_numpy(self.covers >= 0.5)

    def classes(self, background: int) -> UInt8[Tensor, "h w"]:
        """The class of each pixel."""
        found = torch.full(self.covers.shape[1:], background, dtype=torch.uint8)
        for mask, label in zip(self.masks, self.labels.tolist(), strict=True):
            found[mask] = label
        return found

    def objects(self) -> Objects:
        """The visible pixels of each shape."""
        masks = visible(self.masks)
        shown = masks.flatten(1).sum(1) >= MIN_PIXELS
        masks = masks[shown]
        boxes = masks_to_boxes(masks) + torch.tensor([0, 0, 1, 1]) if len(masks) else torch.zeros(0, 4)
        crowd = torch.zeros(len(masks), dtype=torch.bool)
        return Objects(boxes.float(), torch.from_numpy(self.labels)[shown], masks, crowd)


def radius_range(radii: Sequence[float]) -> tuple[float, float]:
    """Smallest and largest radius, as shares of an image's side. Raises ValueError if they are no such range."""
    smallest, largest = radii
    if not 0 < smallest <= largest <= 0.5:
        raise ValueError(f"radii is {smallest}, {largest}; it must be a range of shares of the side up to 0.5.")
    return smallest, largest


def covers(
    outlines: list[str], draws: Float64[np.ndarray, "k 4"], radii: tuple[float, float], side: int
) -> Float64[np.ndarray, "k side side"]:
    """Coverage of each pixel by shapes with the outlines of `OUTLINES`.

    Args:
        draws: Random numbers from [0, 1): size, horizontal position, vertical position, rotation.
        radii: Smallest and largest radius as fractions of the side; their logarithm is uniform.
        side: Side of the image in pixels.
    """
    radius = radii[0] * (radii[1] / radii[0]) ** draws[:, 0]
    angle = 2 * np.pi * draws[:, 3]
    centers = (np.arange(side) + 0.5) / side
    found = np.empty((len(outlines), side, side))
    for k, outline in enumerate(outlines):
        dx, dy = centers[None, None, :] - draws[k, 1], centers[None, :, None] - draws[k, 2]
        cos, sin = np.cos(angle[k]), np.sin(angle[k])
        x, y = (cos * dx + sin * dy) / radius[k], (cos * dy - sin * dx) / radius[k]
        found[k] = np.clip(0.5 - OUTLINES[outline](x, y)[0] * radius[k] * side, 0, 1)  # one pixel of soft edge
    return found


def visible(masks: Bool[Tensor, "k h w"]) -> Bool[Tensor, "k h w"]:
    """The part of each mask that later masks do not cover."""
    shown, covered = masks.clone(), torch.zeros(masks.shape[1:], dtype=torch.bool)
    for k in reversed(range(len(masks))):
        shown[k] &= ~covered
        covered |= masks[k]
    return shown
