"""Training augmentation and evaluation transform; batches of equally sized images are resampled at once."""

from collections.abc import Sequence
from functools import cache, partial

import numpy as np
import PIL.Image
import torch
from jaxtyping import Float32, Float64, Int64, Num, UInt8
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from mimbench.core import IMAGENET_MEAN, IMAGENET_STD
from mimbench.core.counter_rng import uniforms
from mimbench.data.images.color import jitter
from mimbench.data.images.crops import NUM_DRAWS, Crops, Drawn, box_of, draw_crops, shares_and_aspects
from mimbench.data.images.decoding import EncodedSplit, cut
from mimbench.data.source import Samples, Split

EVAL_CROP = 0.875


def bicubic_weights(
    start: Int64[Tensor, " b"], length: Int64[Tensor, " b"], size: int, extent: int
) -> Float32[Tensor, "b size extent"]:
    """Weights that resample [start, start + length) of a line to `size` values: Keys' cubic, a = -0.5, antialiased."""
    step = (length / size)[:, None, None]
    pixel = torch.arange(extent) - start[:, None]  # "b extent", counted from the box's edge
    center = (torch.arange(size)[:, None] + 0.5) * step  # "b size 1"
    x = ((pixel[:, None] + 0.5 - center) / step.clamp(min=1)).abs_()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = torch.where(x < 1, near, far) * (x < 2)
    weights *= ((pixel >= 0) & (pixel < length[:, None]))[:, None]
    return weights / weights.sum(-1, keepdim=True)


def resample(images: Float32[Tensor, "b c h w"], crops: Crops, size: int) -> Float32[Tensor, "b c size size"]:
    """Crops each image and scales the crop to size x size with two matrix products for the whole batch.

    Equals torchvision's `resized_crop(BICUBIC, antialias=True)` with horizontal flips, without rounding to 8 bits.
    """
    top, left, height, width = (torch.from_numpy(side) for side in crops[:4])
    rows = bicubic_weights(top, height, size, images.shape[-2])
    columns = bicubic_weights(left, width, size, images.shape[-1])
    flip = torch.from_numpy(crops.flip)[:, None, None]
    columns = torch.where(flip, columns.flip(1), columns).transpose(1, 2)
    lines = torch.bmm(images.flatten(1, 2), columns).unflatten(1, images.shape[1:3])
    return torch.matmul(rows[:, None], lines).clamp_(0, 255)


def normalize(images: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b 3 h w"]:
    """Normalizes images in [0, 255] with ImageNet's mean and standard deviation, in place."""
    mean, std = _statistics(images.device)
    return images.sub_(mean).div_(std)


@cache
def _statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation on a device, cached since a copy in each step would make the device wait."""
    mean, std = (255 * torch.tensor(x).view(3, 1, 1) for x in (IMAGENET_MEAN, IMAGENET_STD))
    return mean.to(device), std.to(device)


def normalize_bytes(images: UInt8[Tensor, "b 3 h w"]) -> Float32[Tensor, "b 3 h w"]:
    """Normalizes images of 8 bits in any memory format."""
    return normalize(images.to(torch.float32, memory_format=torch.contiguous_format))


def stacked(images: Sequence[Tensor], size: int) -> UInt8[Tensor, "b 3 size size"]:
    """Stacks images in one tensor with colors last in memory, since transposing is faster on the device."""
    batch = torch.empty(len(images), size, size, 3, dtype=torch.uint8).permute(0, 3, 1, 2)
    for n, image in enumerate(images):
        batch[n] = image
    return batch


class TrainTransform:
    """Random resized crop (bicubic), horizontal flip and color jitter as a function of (seed, epoch, sample index)."""

    def __init__(
        self,
        size: int,
        scale: tuple[float, float],
        flip: bool,
        seed: int,
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        color: float = 0.0,
    ) -> None:
        self.size, self.scale, self.flip, self.seed = size, scale, flip, seed
        self.ratio, self.color = ratio, color

    def __call__(
        self, samples: Samples, index: Int64[np.ndarray, " b"], epoch: int
    ) -> Float32[Tensor, "b 3 size size"]:
        """Augments and normalizes images."""
        height, width = np.array([image.shape[-2:] for image in samples.images], np.int64).T
        crops = draw_crops(self._draws(index, epoch), height, width, self.scale, self.flip, self.ratio)
        return self._normalized(self._cropped(samples.images, crops), index, epoch)

    def read(
        self, split: Split, index: Int64[np.ndarray, " b"], epoch: int
    ) -> tuple[Num[Tensor, "b 3 size size"], Int64[Tensor, " b"]]:
        """Augmented samples of a split and their labels.

        Images are float32 and normalized; those decoded from files whose colors are not augmented are uint8 and not
        normalized. Files are decoded at the lowest resolution that the crop needs.
        """
        if not isinstance(split, EncodedSplit):
            samples = split.take(index.tolist())
            return self(samples, index, epoch), samples.labels
        draws = self._draws(index, epoch)
        tried = shares_and_aspects(draws, self.scale, self.ratio)
        placed = draws[:, -3], draws[:, -2], (draws[:, -1] < 0.5) & self.flip
        drawn = map(Drawn, *(numbers.tolist() for numbers in (*tried, *placed)))
        seen = [split.look(i, partial(self._view, numbers)) for i, numbers in zip(index.tolist(), drawn, strict=True)]
        parts, labels = zip(*seen, strict=True)
        images = stacked(parts, self.size)
        return self._normalized(images, index, epoch) if self.color else images, torch.tensor(labels)

    def _draws(self, index: Int64[np.ndarray, " b"], epoch: int) -> Float64[np.ndarray, "b k"]:
        return uniforms(NUM_DRAWS, index, self.seed, "augmentation", epoch)

    def _view(self, drawn: Drawn, image: PIL.Image.Image) -> Tensor:
        return cut(image, box_of(drawn, image.height, image.width, self.ratio), self.size)

    def _cropped(self, images: Tensor | list[Tensor], crops: Crops) -> Num[Tensor, "b 3 size size"]:
        if isinstance(images, Tensor):
            return resample(images.float(), crops, self.size)
        boxes = zip(*(side.tolist() for side in crops), strict=True)
        return stacked([self._crop(image, *box) for image, box in zip(images, boxes, strict=True)], self.size)

    def _normalized(
        self, images: Num[Tensor, "b 3 size size"], index: Int64[np.ndarray, " b"], epoch: int
    ) -> Float32[Tensor, "b 3 size size"]:
        images = images.to(torch.float32, memory_format=torch.contiguous_format)
        if self.color:
            images = jitter(images, uniforms(3, index, self.seed, "color", epoch), self.color)
        return normalize(images)

    def _crop(self, image: Tensor, top: int, left: int, height: int, width: int, flip: bool) -> Tensor:
        size = [self.size, self.size]
        image = F.resized_crop(image, top, left, height, width, size, InterpolationMode.BICUBIC, antialias=True)
        return F.horizontal_flip(image) if flip else image


class EvalTransform:
    """Scales the shorter side to size / 0.875 and crops the center; images of equal size are only scaled to size."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, samples: Samples) -> Float32[Tensor, "b 3 size size"]:
        if isinstance(samples.images, Tensor):
            return normalize(self._scale(samples.images, [self.size, self.size]).float())
        shorter = int(self.size / EVAL_CROP)
        scaled = (self._scale(image, [shorter]) for image in samples.images)
        return normalize(torch.stack([F.center_crop(image, [self.size, self.size]) for image in scaled]).float())

    def _scale(self, images: Tensor, size: list[int]) -> Tensor:
        return F.resize(images, size, InterpolationMode.BICUBIC, antialias=True)
