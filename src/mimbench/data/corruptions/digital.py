"""Digital corruptions: contrast, elastic transform, pixelation and JPEG compression."""

import io

import numpy as np
import PIL.Image
from scipy import ndimage

from mimbench.data.corruptions.image_ops import ImageArray


def contrast(image: ImageArray, rng: np.random.Generator, share: float) -> ImageArray:
    """Scales the difference to the mean of each color by `share`."""
    mean = image.mean((0, 1))
    return mean + share * (image - mean)


def elastic_transform(
    image: ImageArray, rng: np.random.Generator, stretch: float, sigma: float, skew: float
) -> ImageArray:
    """A random affine map followed by a random displacement field; all amounts are fractions of the side.

    Args:
        stretch: Amplitude of the displacements before smoothing.
        sigma: Standard deviation of the Gaussian that smooths them.
        skew: Largest displacement of the three points that define the affine map.
    """
    side = min(image.shape[:2])
    bent = _affine(image, rng.uniform(-skew * side, skew * side, (3, 2)))
    shifts = rng.uniform(-1, 1, (2, *image.shape[:2]))
    shifts = np.stack([ndimage.gaussian_filter(s, sigma * side, mode="reflect", truncate=3) for s in shifts])
    return _sampled(bent, np.indices(image.shape[:2]) + stretch * side * shifts, "reflect")


def pixelate(image: ImageArray, rng: np.random.Generator, share: float) -> ImageArray:
    """Shrinks the image to `share` of its side and enlarges it again, both with a box filter."""
    full = PIL.Image.fromarray(np.uint8(np.rint(255 * image)))
    small = full.resize((int(full.width * share), int(full.height * share)), PIL.Image.Resampling.BOX)
    return np.asarray(small.resize(full.size, PIL.Image.Resampling.BOX)) / 255


def jpeg_compression(image: ImageArray, rng: np.random.Generator, quality: int) -> ImageArray:
    """Encodes and decodes the image as JPEG of this quality."""
    stream = io.BytesIO()
    PIL.Image.fromarray(np.uint8(np.rint(255 * image))).save(stream, "JPEG", quality=quality)
    return np.asarray(PIL.Image.open(stream)) / 255


def _affine(image: ImageArray, moves: np.ndarray) -> ImageArray:
    """The affine map that moves three corners of a square around the center by `moves`, "3 2" as (x, y)."""
    height, width = image.shape[:2]
    middle, reach = np.array([height // 2, width // 2], float), min(height, width) // 3
    corners = np.array([middle + reach, [middle[0] + reach, middle[1] - reach], middle - reach])
    ones = np.ones((3, 1))
    # The inverse map: the position in the source image for each pixel of the result.
    back = np.linalg.solve(np.hstack([corners + moves, ones]), corners)
    rows, columns = np.indices((height, width))
    x, y = np.moveaxis(np.stack([columns, rows, np.ones_like(rows)], -1) @ back, -1, 0)
    return _sampled(image, np.stack([y, x]), "mirror")


def _sampled(image: ImageArray, places: np.ndarray, mode: str) -> ImageArray:
    colors = [ndimage.map_coordinates(color, places, order=1, mode=mode) for color in np.moveaxis(image, -1, 0)]
    return np.stack(colors, -1)
