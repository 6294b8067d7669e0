"""Noise of the sensor and of the transmission."""

import numpy as np

from mimbench.data.corruptions.picture import Picture


def gaussian_noise(picture: Picture, rng: np.random.Generator, deviation: float) -> Picture:
    """Adds a normal of this deviation to every value."""
    return picture + rng.normal(0, deviation, picture.shape)


def shot_noise(picture: Picture, rng: np.random.Generator, photons: float) -> Picture:
    """Counts photons: a Poisson whose mean is `photons` where a value is 1."""
    return rng.poisson(picture * photons) / photons


def impulse_noise(picture: Picture, rng: np.random.Generator, share: float) -> Picture:
    """Sets this share of the values to 0 or 1."""
    hit, salt = rng.random(picture.shape) < share, rng.random(picture.shape) < 0.5
    return np.where(hit, salt, picture)
