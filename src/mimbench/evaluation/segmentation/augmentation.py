"""Augmentation for segmentation as usual on ADE20K (MMSegmentation), as a function of (seed, epoch, sample)."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as T

from mimbench.core.counter_rng import uniforms
from mimbench.data.annotated import IGNORED
from mimbench.data.transforms import normalize

_RATIOS = 0.5, 2.0
_LONGEST = 4  # limit of the longer side in crop sides, as 2048 x 512
_ATTEMPTS = 10
_MOST = 0.75  # largest share of a crop that one class may take


class Augmentation:
    """Scaling by 0.5 to 2, crops with at most 75 % of one class, horizontal flips, photometric distortion, padding.

    Args:
        size: Side of the crops in pixels. At a scale of 1 the shorter side of an image has this length, but the longer
            one at most four times of it.
        photometric: Whether brightness, contrast, saturation and hue are changed, each in half of the images.
    """

    def __init__(self, size: int, flip: bool, photometric: bool, seed: int) -> None:
        self.size, self.flip, self.photometric, self.seed = size, flip, photometric, seed

    def __call__(
        self, image: UInt8[Tensor, "3 h w"], classes: UInt8[Tensor, "h w"], index: int, epoch: int
    ) -> tuple[Float32[Tensor, "3 size size"], UInt8[Tensor, "size size"]]:
        draws = uniforms(2 * _ATTEMPTS + 11, np.array([index], np.int64), self.seed, "segmentation", epoch)[0]
        ratio = _RATIOS[0] + (_RATIOS[1] - _RATIOS[0]) * draws[0]
        height, width = fitted(image.shape[1], image.shape[2], ratio * self.size)
        image, classes = scaled(image, height, width), scaled_classes(classes, height, width)
        top, left = self._choose_crop(classes, draws[11:])
        side = slice(top, top + self.size), slice(left, left + self.size)
        image, classes = image[:, *side], classes[side]
        if self.flip and draws[1] < 0.5:
            image, classes = image.flip(2), classes.flip(1)
        if self.photometric:
            image = distorted(image, draws[2:11])
        right, below = self.size - classes.shape[1], self.size - classes.shape[0]
        padded = F.pad(normalize(image.float()[None])[0], (0, right, 0, below))
        return padded, F.pad(classes, (0, right, 0, below), value=IGNORED)

    def _choose_crop(self, classes: UInt8[Tensor, "h w"], draws: Float64[np.ndarray, " n"]) -> tuple[int, int]:
        """Top and left of the first of ten random crops with several classes, none above 75 %, or of the last crop."""
        room = max(classes.shape[0] - self.size, 0), max(classes.shape[1] - self.size, 0)
        top = left = 0
        for down, across in draws.reshape(_ATTEMPTS, 2):
            top, left = int(down * (room[0] + 1)), int(across * (room[1] + 1))
            crop = classes[top : top + self.size, left : left + self.size]
            count = torch.bincount(crop[crop != IGNORED].flatten().long())
            if (count > 0).sum() > 1 and count.max() < _MOST * count.sum():
                break
        return top, left


def fitted(height: int, width: int, size: float) -> tuple[int, int]:
    """Height and width of an image with a shorter side of `size`, or a longer side of four times `size` if smaller."""
    factor = min(size / min(height, width), _LONGEST * size / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def scaled(image: UInt8[Tensor, "3 _ _"], height: int, width: int) -> UInt8[Tensor, "3 height width"]:
    return T.resize(image, [height, width], InterpolationMode.BILINEAR, antialias=True)


def scaled_classes(classes: UInt8[Tensor, "_ _"], height: int, width: int) -> UInt8[Tensor, "height width"]:
    return T.resize(classes[None], [height, width], InterpolationMode.NEAREST_EXACT)[0]


def distorted(image: UInt8[Tensor, "3 h w"], draws: Float64[np.ndarray, " 9"]) -> UInt8[Tensor, "3 h w"]:
    """Changes brightness by up to 12.5 %, contrast and saturation by 50 %, hue by 18 degrees (after SSD)."""
    applied, amount = draws[:4] < 0.5, 2 * draws[4:8] - 1
    steps = [
        lambda x: T.adjust_brightness(x, 1 + 0.125 * amount[0]),
        lambda x: T.adjust_saturation(x, 1 + 0.5 * amount[2]),
        lambda x: T.adjust_hue(x, 0.05 * amount[3]),
    ]
    chosen = [step for step, use in zip(steps, applied[[0, 2, 3]], strict=True) if use]
    if applied[1]:  # contrast comes before or after saturation and hue
        chosen.insert(1 if draws[8] < 0.5 else len(chosen), lambda x: T.adjust_contrast(x, 1 + 0.5 * amount[1]))
    for step in chosen:
        image = step(image)
    return image
