"""What cameras, files and screens do to a picture."""

import io

import numpy as np
import PIL.Image
from scipy import ndimage

from mimbench.data.corruptions.picture import Picture


def contrast(picture: Picture, rng: np.random.Generator, share: float) -> Picture:
    """Keeps this share of the difference to each colour's mean."""
    mean = picture.mean((0, 1))
    return mean + share * (picture - mean)


def elastic_transform(picture: Picture, rng: np.random.Generator, stretch: float, sigma: float, skew: float) -> Picture:
    """A random affine map, then a random field of shifts; all amounts are shares of the side.

    Args:
        stretch: Amplitude of the shifts before they are smoothed.
        sigma: Deviation of the Gaussian that smooths them.
        skew: Largest shift of the three points that define the affine map.
    """
    side = min(picture.shape[:2])
    bent = _affine(picture, rng.uniform(-skew * side, skew * side, (3, 2)))
    shifts = rng.uniform(-1, 1, (2, *picture.shape[:2]))
    shifts = np.stack([ndimage.gaussian_filter(s, sigma * side, mode="reflect", truncate=3) for s in shifts])
    return _sampled(bent, np.indices(picture.shape[:2]) + stretch * side * shifts, "reflect")


def pixelate(picture: Picture, rng: np.random.Generator, share: float) -> Picture:
    """Shrinks to this share of the side and enlarges again, both with a box filter."""
    image = PIL.Image.fromarray(np.uint8(np.rint(255 * picture)))
    small = image.resize((int(image.width * share), int(image.height * share)), PIL.Image.Resampling.BOX)
    return np.asarray(small.resize(image.size, PIL.Image.Resampling.BOX)) / 255


def jpeg_compression(picture: Picture, rng: np.random.Generator, quality: int) -> Picture:
    """Through a JPEG file of this quality."""
    stream = io.BytesIO()
    PIL.Image.fromarray(np.uint8(np.rint(255 * picture))).save(stream, "JPEG", quality=quality)
    return np.asarray(PIL.Image.open(stream)) / 255


def _affine(picture: Picture, moves: np.ndarray) -> Picture:
    """Moves three corners of a square around the middle, "3 2" as (x, y), and everything else with them."""
    height, width = picture.shape[:2]
    middle, reach = np.array([height // 2, width // 2], float), min(height, width) // 3
    corners = np.array([middle + reach, [middle[0] + reach, middle[1] - reach], middle - reach])
    ones = np.ones((3, 1))
    # From where they are moved to back to where they were: what is sampled at every place.
    back = np.linalg.solve(np.hstack([corners + moves, ones]), corners)
    rows, columns = np.indices((height, width))
    x, y = np.moveaxis(np.stack([columns, rows, np.ones_like(rows)], -1) @ back, -1, 0)
    return _sampled(picture, np.stack([y, x]), "mirror")


def _sampled(picture: Picture, places: np.ndarray, mode: str) -> Picture:
    colours = [ndimage.map_coordinates(colour, places, order=1, mode=mode) for colour in np.moveaxis(picture, -1, 0)]
    return np.stack(colours, -1)
