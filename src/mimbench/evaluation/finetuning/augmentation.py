"""timm's training augmentation as a pure function of (seed, epoch, sample)."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float32, Int64
from timm.data import create_transform
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from mimbench.core import IMAGENET_MEAN, IMAGENET_STD, mix
from mimbench.data.source import Samples
from mimbench.evaluation.finetuning.recipe import FineTuneRecipe


@contextmanager
def drawn_from(*key: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Makes the global generators of Python, NumPy and PyTorch draw from `key`, then puts them back as they were.

    timm's transforms, mixing and drop path draw from them. What is drawn depends on the key alone, not on workers or
    on what was drawn before, so that an interrupted training goes on exactly.
    """
    seed, device = mix(*key), torch.device(device)
    python, numpy = random.getstate(), np.random.get_state()
    cuda = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=cuda):
            random.seed(seed)
            np.random.seed(seed % 2**32)
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would touch all devices
            for place in cuda:
                with torch.cuda.device(place):
                    torch.cuda.manual_seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


class Augmentation:
    """Random resized crop (bicubic), horizontal flips, RandAugment and random erasing of a recipe, by timm.

    Args:
        size: Side of the images handed out, in pixels.
        crop_scale: Range of the area of crops.
        flip: Whether images may be flipped.
    """

    def __init__(
        self, recipe: FineTuneRecipe, size: int, crop_scale: tuple[float, float], flip: bool, seed: int
    ) -> None:
        self.seed = seed
        self.transform = create_transform(
            size,
            is_training=True,
            scale=crop_scale,
            hflip=0.5 if flip else 0.0,
            color_jitter=None,  # pyright: ignore[reportArgumentType]  # timm's own way to have none
            auto_augment=recipe.randaugment,
            interpolation="bicubic",
            re_prob=recipe.random_erasing,
            re_mode="pixel",
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
        )

    def __call__(
        self, samples: Samples, index: Int64[np.ndarray, " b"], epoch: int
    ) -> Float32[Tensor, "b 3 size size"]:
        pairs = zip(samples.images, index.tolist(), strict=True)
        return torch.stack([self._one(image, epoch, i) for image, i in pairs])

    def _one(self, image: Tensor, epoch: int, index: int) -> Tensor:
        with drawn_from(self.seed, epoch, index):
            return self.transform(to_pil_image(image))  # pyright: ignore[reportCallIssue, reportReturnType]
