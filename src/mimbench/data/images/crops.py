"""Positions of training crops in images."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

NUM_ATTEMPTS = 10
NUM_DRAWS = 2 * NUM_ATTEMPTS + 3


class Crops(NamedTuple):
    """One box per image, in pixels, and whether it is flipped."""

    top: Int64[np.ndarray, " b"]
    left: Int64[np.ndarray, " b"]
    height: Int64[np.ndarray, " b"]
    width: Int64[np.ndarray, " b"]
    flip: Bool[np.ndarray, " b"]


def shares_and_aspects(
    draws: Float64[np.ndarray, "b k"], scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[Float64[np.ndarray, "b attempts"], Float64[np.ndarray, "b attempts"]]:
    """Relative areas and aspect ratios (width / height) of the boxes to try."""
    area_draws, ratio_draws = draws[:, :NUM_ATTEMPTS], draws[:, NUM_ATTEMPTS : 2 * NUM_ATTEMPTS]
    aspect = np.exp(np.log(ratio[0]) + np.log(ratio[1] / ratio[0]) * ratio_draws)
    return scale[0] + (scale[1] - scale[0]) * area_draws, aspect


def draw_crops(
    draws: Float64[np.ndarray, "b k"],
    height: Int64[np.ndarray, " b"],
    width: Int64[np.ndarray, " b"],
    scale: tuple[float, float],
    flip: bool,
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Crops:
    """The boxes of torchvision's RandomResizedCrop, vectorized: ten attempts, then the largest allowed center crop."""
    share, aspect = shares_and_aspects(draws, scale, ratio)
    area = (height * width)[:, None] * share
    widths, heights = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
    fits = (widths > 0) & (widths <= width[:, None]) & (heights > 0) & (heights <= height[:, None])
    first = np.arange(len(draws)), fits.argmax(1)
    center_width = np.minimum(width, np.rint(height * ratio[1]))
    center_height = np.minimum(height, np.rint(width / ratio[0]))
    found = fits.any(1)
    box_height = np.where(found, heights[first], center_height).astype(np.int64)
    box_width = np.where(found, widths[first], center_width).astype(np.int64)
    top = np.where(found, np.floor(draws[:, -3] * (height - box_height + 1)), (height - box_height) // 2)
    left = np.where(found, np.floor(draws[:, -2] * (width - box_width + 1)), (width - box_width) // 2)
    return Crops(top.astype(np.int64), left.astype(np.int64), box_height, box_width, (draws[:, -1] < 0.5) & flip)


class Box(NamedTuple):
    """A part of an image in pixels, and whether it is flipped."""

    top: int
    left: int
    height: int
    width: int
    flip: bool = False


class Drawn(NamedTuple):
    """The random numbers of one image: relative areas and aspect ratios to try, position and horizontal flip."""

    areas: Sequence[float]
    aspects: Sequence[float]
    down: float
    right: float
    flip: bool


def box_of(drawn: Drawn, height: int, width: int, ratio: tuple[float, float]) -> Box:
    """The same box as by `draw_crops`, without NumPy, which is faster for single images."""
    for share, aspect in zip(drawn.areas, drawn.aspects, strict=True):
        area = height * width * share
        box_width, box_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < box_width <= width and 0 < box_height <= height:
            top = math.floor(drawn.down * (height - box_height + 1))
            left = math.floor(drawn.right * (width - box_width + 1))
            return Box(top, left, box_height, box_width, drawn.flip)
    box_width, box_height = min(width, round(height * ratio[1])), min(height, round(width / ratio[0]))
    return Box((height - box_height) // 2, (width - box_width) // 2, box_height, box_width, drawn.flip)
