"""Images as arrays, and operations that several corruptions use."""

import math

import numpy as np
from jaxtyping import Float
from scipy import ndimage

ImageArray = Float[np.ndarray, "h w c"]
"""Values in [0, 1]."""


def gaussian(image: ImageArray, sigma: float) -> ImageArray:
    """Gaussian blur of each color with repeated border pixels."""
    return ndimage.gaussian_filter(image, (sigma, sigma, 0), mode="nearest", truncate=4)


def zoomed(image: ImageArray, factor: float) -> ImageArray:
    """The center of an image, enlarged bilinearly to the size of the image."""
    height, width = image.shape[:2]
    inner = [math.ceil(side / factor) for side in (height, width)]
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    crop = image[top : top + inner[0], left : left + inner[1]]
    large: np.ndarray = np.asarray(ndimage.zoom(crop, (factor, factor, 1), order=1))
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return large[top : top + height, left : left + width]


def smeared(image: ImageArray, radius: float, sigma: float, degrees: float) -> ImageArray:
    """Motion blur as in ImageMagick: in one direction, with the weights of one half of a Gaussian."""
    steps = np.arange(2 * math.ceil(radius) + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    angle = math.radians(degrees)
    right, down = (np.ceil(steps * part - 0.5).astype(int) for part in (math.cos(angle), math.sin(angle)))
    height, width = image.shape[:2]
    rows, columns = np.arange(height)[:, None], np.arange(width)
    total = np.zeros_like(image)
    for weight, dx, dy in zip(weights / weights.sum(), right, down, strict=True):
        total += weight * image[(rows + dy).clip(0, height - 1), (columns + dx).clip(0, width - 1)]
    return total
