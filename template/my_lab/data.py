"""Stripes of four directions."""

import math

import torch
from torch import Tensor

from mimbench.data import MemorySplit, Source

DIRECTIONS = {"horizontal": 0.0, "rising": 45.0, "vertical": 90.0, "falling": 135.0}


class Stripes(Source):
    """Noisy stripes; the class is their direction, and phase, distance and color are random.

    Args:
        image_size: In pixels.
        num_train, num_val, num_test: Number of images.
        seed: Decides the images. Part of the dataset, not of a run.
    """

    crop_scale = (0.5, 1.0)
    flip = False  # a mirrored image would belong to another class

    def __init__(
        self, image_size: int = 32, num_train: int = 512, num_val: int = 128, num_test: int = 256, seed: int = 0
    ) -> None:
        self.image_size, self.seed = image_size, seed
        self.lengths = {"train": num_train, "val": num_val, "test": num_test}

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(DIRECTIONS)

    def split(self, name: str) -> MemorySplit:
        """Images "n 3 size size" of 0 to 255 with their labels; every split has random numbers of its own."""
        length = self.lengths[name]
        generator = torch.Generator().manual_seed(1000 * self.seed + list(self.lengths).index(name))
        labels = torch.arange(length) % len(DIRECTIONS)
        return MemorySplit(_draw(labels, self.image_size, generator), labels)


def _draw(labels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(len(labels), *shape, generator=generator)

    angle = torch.tensor(list(DIRECTIONS.values()))[labels] * math.pi / 180
    side = torch.arange(size) / size
    across = side[None, None, :] * angle.sin()[:, None, None] + side[None, :, None] * angle.cos()[:, None, None]
    wave = (2 * math.pi * (uniform(3, 8, 1, 1) * across + uniform(0, 1, 1, 1))).sin()
    image = 128 + uniform(20, 100, 3, 1, 1) * wave[:, None] + uniform(-20, 20, 3, size, size)
    return image.round().clamp(0, 255).byte()
