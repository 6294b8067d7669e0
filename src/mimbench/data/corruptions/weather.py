"""Weather corruptions: snow, fog and brightness."""

import numpy as np
from jaxtyping import Float
from skimage.color import hsv2rgb, rgb2hsv

from mimbench.data.corruptions.image_ops import ImageArray, smeared, zoomed

_LUMA = np.array([0.299, 0.587, 0.114])


def snow(
    image: ImageArray,
    rng: np.random.Generator,
    mean: float,
    deviation: float,
    size: float,
    threshold: float,
    radius: float,
    sigma: float,
    opacity: float,
) -> ImageArray:
    """Adds flakes, which are enlarged Gaussian noise above a threshold with motion blur, to a whitened image."""
    flakes = zoomed(rng.normal(mean, deviation, (*image.shape[:2], 1)), size)
    flakes = np.floor(255 * np.where(flakes < threshold, 0, flakes).clip(0, 1)) / 255
    flakes = smeared(flakes, radius, sigma, rng.uniform(-135, -45))
    white = np.maximum(image, (image @ _LUMA)[..., None] * 1.5 + 0.5)
    return opacity * image + (1 - opacity) * white + flakes + np.rot90(flakes, 2)


def fog(image: ImageArray, rng: np.random.Generator, thickness: float, decay: float) -> ImageArray:
    """Adds a plasma fractal and rescales to the maximum of the image."""
    height, width = image.shape[:2]
    clouds = plasma(1 << (max(height, width) - 1).bit_length(), decay, rng)[:height, :width, None]
    brightest = image.max()
    return (image + thickness * clouds) * brightest / (brightest + thickness)


def brightness(image: ImageArray, rng: np.random.Generator, amount: float) -> ImageArray:
    """Increases the value channel in HSV."""
    colors = rgb2hsv(image)
    colors[..., 2] = (colors[..., 2] + amount).clip(0, 1)
    return hsv2rgb(colors)


def plasma(side: int, decay: float, rng: np.random.Generator) -> Float[np.ndarray, "side side"]:
    """A plasma fractal in [0, 1] by the diamond-square algorithm; random heights shrink by decay^2 at each scale.

    Args:
        side: A power of 2.
    """
    field = np.zeros((side, side))
    step, height = side, 100.0
    while step >= 2:
        half = step // 2
        corners = field[::step, ::step]
        pairs = corners + np.roll(corners, -1, 0)
        middles = _jittered(pairs + np.roll(pairs, -1, 1), height, rng)
        field[half::step, half::step] = middles
        upper = middles + np.roll(middles, 1, 0) + corners + np.roll(corners, -1, 1)
        left = middles + np.roll(middles, 1, 1) + corners + np.roll(corners, -1, 0)
        field[::step, half::step] = _jittered(upper, height, rng)
        field[half::step, ::step] = _jittered(left, height, rng)
        step, height = half, height / decay
    field -= field.min()
    return field / max(field.max(), np.finfo(float).tiny)


def _jittered(sums: np.ndarray, height: float, rng: np.random.Generator) -> np.ndarray:
    # The released code multiplies by the height twice.
    return sums / 4 + height**2 * rng.uniform(-1, 1, sums.shape)
