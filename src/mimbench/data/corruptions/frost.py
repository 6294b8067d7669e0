"""Frost from photographs, which the user provides."""

from functools import cache
from pathlib import Path

import numpy as np
import PIL.Image
from jaxtyping import UInt8

from mimbench.data.corruptions.image_ops import ImageArray
from mimbench.data.images.decoding import UNREADABLE

# The released code has a sixth photograph, which it never draws.
PHOTOGRAPHS = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")


def frost(
    image: ImageArray, rng: np.random.Generator, share: float, amount: float, scale: float, folder: Path
) -> ImageArray:
    """Adds a random part of a photograph of frost.

    Args:
        share, amount: Weights of the image and of the frost.
        scale: Factor of the photograph's sides.
        folder: Folder of `PHOTOGRAPHS`.
    """
    photograph = photographs(folder, scale, min(image.shape[:2]))[rng.integers(len(PHOTOGRAPHS))]
    height, width = image.shape[:2]
    top, left = (
        rng.integers(0, whole - part + 1) for whole, part in zip(photograph.shape, (height, width), strict=False)
    )
    return share * image + amount * photograph[top : top + height, left : left + width] / 255


@cache
def photographs(folder: Path, scale: float, side: int) -> list[UInt8[np.ndarray, "h w 3"]]:
    """The photographs, scaled, in the order of `PHOTOGRAPHS`.

    Raises:
        ValueError: One is missing, damaged, or smaller than `side` pixels after scaling.
    """
    return [_photograph(folder / name, scale, side) for name in PHOTOGRAPHS]


def _photograph(path: Path, scale: float, side: int) -> UInt8[np.ndarray, "h w 3"]:
    try:
        with PIL.Image.open(path) as file:
            image = file.convert("RGB")
    except UNREADABLE as error:
        raise ValueError(
            f"{path} cannot be read ({error}); frost needs {', '.join(PHOTOGRAPHS)} of the authors' repository "
            "(github.com/hendrycks/robustness, folder ImageNet-C/imagenet_c/imagenet_c/frost) in one folder."
        ) from error
    size = round(scale * image.width), round(scale * image.height)
    if min(size) < side:
        raise ValueError(f"{path} has {image.width} x {image.height} px, too few for images of {side} px.")
    return np.asarray(image.resize(size, PIL.Image.Resampling.BILINEAR) if scale != 1 else image)
