"""Outlined shapes that lie over each other, and the annotation that follows from them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64, UInt8
from torch import Tensor
from torchvision.ops import masks_to_boxes

from mimbench.data.annotated import Objects
from mimbench.data.synthetic.shapes import OUTLINES

MIN_PIXELS = 9  # of which an object must show to be annotated


class Layers(NamedTuple):
    """Shapes from the back to the front.

    Attributes:
        covers: How much of every pixel each covers, from 0 to 1.
        labels: Their classes.
    """

    covers: Float64[np.ndarray, "k h w"]
    labels: Int64[np.ndarray, " k"]

    @property
    def masks(self) -> Bool[Tensor, "k h w"]:
        """The pixels that each covers by half or more, whatever lies over it."""
        return torch.from_numpy(self.covers >= 0.5)

    def classes(self, background: int) -> UInt8[Tensor, "h w"]:
        """What every pixel shows."""
        found = torch.full(self.covers.shape[1:], background, dtype=torch.uint8)
        for mask, label in zip(self.masks, self.labels.tolist(), strict=True):
            found[mask] = label
        return found

    def objects(self) -> Objects:
        """What is visible of every shape."""
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
    """How much of every pixel each outline of `OUTLINES` covers.

    Args:
        draws: From [0, 1): size, place from the left, place from the top, rotation.
        radii: Smallest and largest, as shares of the side; their logarithms are uniform.
        side: In pixels.
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
    """What of each mask the later ones leave uncovered."""
    shown, covered = masks.clone(), torch.zeros(masks.shape[1:], dtype=torch.bool)
    for k in reversed(range(len(masks))):
        shown[k] &= ~covered
        covered |= masks[k]
    return shown
