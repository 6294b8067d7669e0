"""timm's training augmentation as a function of (seed, epoch, sample)."""

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
    """Seeds the global generators of Python, NumPy and PyTorch with `key`, and restores their states afterwards.

    timm's transforms, mixup and drop path use these generators. Their draws then depend only on the key, not on workers
    or earlier draws, so that training resumes exactly.
    """
    seed, device = mix(*key), torch.device(device)
    python, numpy = random.getstate(), np.random.get_state()
    cuda = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=cuda):
            random.seed(seed)
            np.random.seed(seed % 2**32)
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed all devices
            for gpu in cuda:
                with torch.cuda.device(gpu):
                    torch.cuda.manual_seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


class Augmentation:
    """timm's random resized crop (bicubic), horizontal flip, RandAugment and random erasing with a recipe's settings.

    Args:
        size: Side of the returned images in pixels.
        crop_scale: Range of the relative area of crops.
        flip: Whether images are flipped horizontally at random.
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
            color_jitter=None,  # pyright: ignore[reportArgumentType]  # timm's value for none
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
