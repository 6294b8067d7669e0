"""Noise corruptions."""

import numpy as np

from mimbench.data.corruptions.image_ops import ImageArray


def gaussian_noise(image: ImageArray, rng: np.random.Generator, deviation: float) -> ImageArray:
    """Adds Gaussian noise with this standard deviation."""
    return image + rng.normal(0, deviation, image.shape)


def shot_noise(image: ImageArray, rng: np.random.Generator, photons: float) -> ImageArray:
    """Poisson noise; `photons` is the mean count at a value of 1."""
    return rng.poisson(image * photons) / photons


def impulse_noise(image: ImageArray, rng: np.random.Generator, share: float) -> ImageArray:
    """Sets the fraction `share` of the values to 0 or 1."""
    hit, salt = rng.random(image.shape) < share, rng.random(image.shape) < 0.5
    return np.where(hit, salt, image)
