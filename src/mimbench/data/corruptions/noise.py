"""Noise of the sensor and of the transmission."""

import numpy as np

from mimbench.data.corruptions.image_ops import ImageArray


def gaussian_noise(image: ImageArray, rng: np.random.Generator, deviation: float) -> ImageArray:
    """Adds a normal of this deviation to every value."""
    return image + rng.normal(0, deviation, image.shape)


def shot_noise(image: ImageArray, rng: np.random.Generator, photons: float) -> ImageArray:
    """Counts photons: a Poisson whose mean is `photons` where a value is 1."""
    return rng.poisson(image * photons) / photons


def impulse_noise(image: ImageArray, rng: np.random.Generator, share: float) -> ImageArray:
    """Sets this share of the values to 0 or 1."""
    hit, salt = rng.random(image.shape) < share, rng.random(image.shape) < 0.5
    return np.where(hit, salt, image)
