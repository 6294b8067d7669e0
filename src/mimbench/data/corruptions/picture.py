"""What corruptions work on, and what several of them need."""

import math

import numpy as np
from jaxtyping import Float
from scipy import ndimage

Picture = Float[np.ndarray, "h w c"]
"""Values in [0, 1]."""


def gaussian(picture: Picture, sigma: float) -> Picture:
    """Gaussian blur of every colour, the edge repeated."""
    return ndimage.gaussian_filter(picture, (sigma, sigma, 0), mode="nearest", truncate=4)


def zoomed(picture: Picture, factor: float) -> Picture:
    """The middle of a picture, enlarged bilinearly to the picture's size."""
    height, width = picture.shape[:2]
    inner = [math.ceil(side / factor) for side in (height, width)]
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    crop = picture[top : top + inner[0], left : left + inner[1]]
    large: np.ndarray = np.asarray(ndimage.zoom(crop, (factor, factor, 1), order=1))
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return large[top : top + height, left : left + width]


def smeared(picture: Picture, radius: float, sigma: float, degrees: float) -> Picture:
    """Motion blur as ImageMagick makes it: from a pixel into one direction, with the weights of half a Gaussian."""
    steps = np.arange(2 * math.ceil(radius) + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    angle = math.radians(degrees)
    right, down = (np.ceil(steps * part - 0.5).astype(int) for part in (math.cos(angle), math.sin(angle)))
    height, width = picture.shape[:2]
    rows, columns = np.arange(height)[:, None], np.arange(width)
    total = np.zeros_like(picture)
    for weight, dx, dy in zip(weights / weights.sum(), right, down, strict=True):
        total += weight * picture[(rows + dy).clip(0, height - 1), (columns + dx).clip(0, width - 1)]
    return total
