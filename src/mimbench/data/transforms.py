"""Training augmentation and evaluation transform; a batch of equally sized pictures is resampled in one go."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from mimbench.data.colour import jitter
from mimbench.data.draws import uniforms
from mimbench.data.source import Pictures

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
EVAL_CROP = 0.875
NUM_ATTEMPTS = 10
NUM_DRAWS = 2 * NUM_ATTEMPTS + 3


class Crops(NamedTuple):
    """One box per picture, in pixels, and whether it is mirrored."""

    top: Int64[np.ndarray, " b"]
    left: Int64[np.ndarray, " b"]
    height: Int64[np.ndarray, " b"]
    width: Int64[np.ndarray, " b"]
    flip: Bool[np.ndarray, " b"]


def draw_crops(
    draws: Float64[np.ndarray, "b k"],
    height: Int64[np.ndarray, " b"],
    width: Int64[np.ndarray, " b"],
    scale: tuple[float, float],
    flip: bool,
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Crops:
    """The boxes of torchvision's RandomResizedCrop, vectorised: ten attempts, then the largest allowed centre crop."""
    area_draws, ratio_draws = draws[:, :NUM_ATTEMPTS], draws[:, NUM_ATTEMPTS : 2 * NUM_ATTEMPTS]
    area = (height * width)[:, None] * (scale[0] + (scale[1] - scale[0]) * area_draws)
    aspect = np.exp(np.log(ratio[0]) + np.log(ratio[1] / ratio[0]) * ratio_draws)
    widths, heights = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
    fits = (widths > 0) & (widths <= width[:, None]) & (heights > 0) & (heights <= height[:, None])
    first = np.arange(len(draws)), fits.argmax(1)
    centre_width = np.minimum(width, np.rint(height * ratio[1]))
    centre_height = np.minimum(height, np.rint(width / ratio[0]))
    found = fits.any(1)
    box_height = np.where(found, heights[first], centre_height).astype(np.int64)
    box_width = np.where(found, widths[first], centre_width).astype(np.int64)
    top = np.where(found, np.floor(draws[:, -3] * (height - box_height + 1)), (height - box_height) // 2)
    left = np.where(found, np.floor(draws[:, -2] * (width - box_width + 1)), (width - box_width) // 2)
    return Crops(top.astype(np.int64), left.astype(np.int64), box_height, box_width, (draws[:, -1] < 0.5) & flip)


def bicubic_weights(
    start: Int64[Tensor, " b"], length: Int64[Tensor, " b"], size: int, extent: int
) -> Float32[Tensor, "b size extent"]:
    """Rows that resample a line's [start, start + length) to `size` values: Keys' cubic, a = -0.5, antialiased."""
    step = (length / size)[:, None, None]
    pixel = torch.arange(extent) - start[:, None]  # "b extent", counted from the box's edge
    centre = (torch.arange(size)[:, None] + 0.5) * step  # "b size 1"
    x = ((pixel[:, None] + 0.5 - centre) / step.clamp(min=1)).abs_()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = torch.where(x < 1, near, far) * (x < 2)
    weights *= ((pixel >= 0) & (pixel < length[:, None]))[:, None]
    return weights / weights.sum(-1, keepdim=True)


def resample(images: Float32[Tensor, "b c h w"], crops: Crops, size: int) -> Float32[Tensor, "b c size size"]:
    """Cuts a box out of every picture and scales it to size x size: two matrix products for the whole batch.

    Equals torchvision's `resized_crop(BICUBIC, antialias=True)` and mirroring, without its rounding to 8 bits.
    """
    top, left, height, width = (torch.from_numpy(side) for side in crops[:4])
    rows = bicubic_weights(top, height, size, images.shape[-2])
    columns = bicubic_weights(left, width, size, images.shape[-1])
    flip = torch.from_numpy(crops.flip)[:, None, None]
    columns = torch.where(flip, columns.flip(1), columns).transpose(1, 2)
    lines = torch.bmm(images.flatten(1, 2), columns).unflatten(1, images.shape[1:3])
    return torch.matmul(rows[:, None], lines).clamp_(0, 255)


def normalise(images: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b 3 h w"]:
    """From [0, 255] to ImageNet's mean 0 and standard deviation 1, in place."""
    mean, std = (255 * torch.tensor(x).view(3, 1, 1) for x in (IMAGENET_MEAN, IMAGENET_STD))
    return images.sub_(mean).div_(std)


class TrainTransform:
    """Random resized crop (bicubic), mirroring and colour, a pure function of (seed, epoch, sample index)."""

    def __init__(
        self,
        size: int,
        scale: tuple[float, float],
        flip: bool,
        seed: int,
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        colour: float = 0.0,
    ) -> None:
        self.size, self.scale, self.flip, self.seed = size, scale, flip, seed
        self.ratio, self.colour = ratio, colour

    def __call__(
        self, pictures: Pictures, index: Int64[np.ndarray, " b"], epoch: int
    ) -> Float32[Tensor, "b 3 size size"]:
        height, width = np.array([image.shape[-2:] for image in pictures.images], np.int64).T
        draws = uniforms(NUM_DRAWS, index, self.seed, "augmentation", epoch)
        crops = draw_crops(draws, height, width, self.scale, self.flip, self.ratio)
        images = self._cropped(pictures.images, crops)
        if self.colour:
            images = jitter(images, uniforms(3, index, self.seed, "colour", epoch), self.colour)
        return normalise(images)

    def _cropped(self, images: Tensor | list[Tensor], crops: Crops) -> Float32[Tensor, "b 3 size size"]:
        if isinstance(images, Tensor):
            return resample(images.float(), crops, self.size)
        boxes = zip(*(side.tolist() for side in crops), strict=True)
        return torch.stack([self._crop(image, *box) for image, box in zip(images, boxes, strict=True)]).float()

    def _crop(self, image: Tensor, top: int, left: int, height: int, width: int, flip: bool) -> Tensor:
        size = [self.size, self.size]
        image = F.resized_crop(image, top, left, height, width, size, InterpolationMode.BICUBIC, antialias=True)
        return F.horizontal_flip(image) if flip else image


class EvalTransform:
    """Photographs: shorter side to size / 0.875, centre crop. Equally sized pictures: only scaled to size."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, pictures: Pictures) -> Float32[Tensor, "b 3 size size"]:
        if isinstance(pictures.images, Tensor):
            return normalise(self._scale(pictures.images, [self.size, self.size]).float())
        shorter = int(self.size / EVAL_CROP)
        scaled = (self._scale(image, [shorter]) for image in pictures.images)
        return normalise(torch.stack([F.center_crop(image, [self.size, self.size]) for image in scaled]).float())

    def _scale(self, images: Tensor, size: list[int]) -> Tensor:
        return F.resize(images, size, InterpolationMode.BICUBIC, antialias=True)
