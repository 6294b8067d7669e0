"""Blur of the lens, of frosted glass and of movement."""

import numpy as np
from scipy import ndimage

from mimbench.data.corruptions.image_ops import ImageArray, gaussian, smeared, zoomed


def defocus_blur(image: ImageArray, rng: np.random.Generator, radius: float, alias: float) -> ImageArray:
    """A disk of this radius, itself blurred by a Gaussian of deviation `alias` over 3 or 5 pixels."""
    reach = 8 if radius <= 8 else int(np.ceil(radius))
    place = np.arange(-reach, reach + 1)
    disk = (place[:, None] ** 2 + place**2 <= radius**2).astype(float)
    taps = np.arange(-1, 2) if radius <= 8 else np.arange(-2, 3)
    weights = np.exp(-(taps**2) / (2 * alias**2))
    for axis in (0, 1):
        disk = ndimage.correlate1d(disk, weights / weights.sum(), axis, mode="mirror")
    return ndimage.correlate(image, (disk / disk.sum())[..., None], mode="mirror")


def glass_blur(image: ImageArray, rng: np.random.Generator, sigma: float, reach: int, passes: int) -> ImageArray:
    """Blurs, takes every pixel from a random place at most `reach` away, and blurs again.

    Pixel after pixel from the lower right, so that a color can travel further. The paper speaks of swapping, and so
    does its code, but what that computes is copying, and all published numbers are made of copies.
    """
    height, width = image.shape[:2]
    # The blurred image is rounded down to 8 bits before pixels move, as in the released code.
    flat = np.floor(gaussian(image, sigma) * 255).reshape(height * width, -1) / 255
    source = list(range(height * width))
    for _ in range(passes):
        moves = rng.integers(-reach, reach, (height, width, 2)) @ (width, 1)
        for row in range(height - reach, reach, -1):
            for place in range(row * width + width - reach, row * width + reach, -1):
                source[place] = source[place + moves[row, place - row * width]]
    return gaussian(flat[source].reshape(image.shape), sigma)


def motion_blur(image: ImageArray, rng: np.random.Generator, radius: float, sigma: float) -> ImageArray:
    """Along a random direction within 45 degrees of the horizontal."""
    return smeared(image, radius, sigma, rng.uniform(-45, 45))


def zoom_blur(image: ImageArray, rng: np.random.Generator, furthest: float, step: float) -> ImageArray:
    """The mean of the image and of its middle enlarged by 1, 1 + step ... up to `furthest`."""
    factors = np.arange(1, furthest, step)
    return (image + sum(zoomed(image, float(factor)) for factor in factors)) / (len(factors) + 1)
