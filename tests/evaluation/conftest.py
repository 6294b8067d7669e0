"""A tiny encoder, a tiny labeled source, and features made by hand."""

from collections.abc import Callable

import pytest
import torch

from mimbench.data import ImageDataModule, MemorySplit, Source
from mimbench.data.source import SplitName
from mimbench.encoders import ViTEncoder, vit
from mimbench.evaluation import Features


class Blobs(Source):
    """Noise around one random image per class."""

    image_size = 16
    sizes = {"train": 48, "val": 20, "test": 28}  # noqa: RUF012

    @property
    def classes(self) -> tuple[str, ...]:
        return ("a", "b", "c", "d")

    def split(self, name: SplitName) -> MemorySplit:
        draws = torch.Generator().manual_seed(len(name))
        labels = torch.arange(self.sizes[name]) % 4
        centers = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 160
        noise = torch.rand(len(labels), 3, 16, 16, generator=draws) * 90
        return MemorySplit((centers[labels] + noise).byte(), labels)


@pytest.fixture
def datamodule() -> ImageDataModule:
    return ImageDataModule(Blobs(), batch_size=16, eval_batch_size=16)


@pytest.fixture
def encoder() -> ViTEncoder:
    torch.manual_seed(0)
    return vit(image_size=16, patch_size=8, width=32, depth=3, num_heads=2)


@pytest.fixture
def make_features() -> Callable[..., dict[str, Features]]:
    """Gaussian classes at a few depths; the deeper, the further apart."""

    def make(num_train: int = 120, num_classes: int = 5, dim: int = 12, depths: int = 2) -> dict[str, Features]:
        draws = torch.Generator().manual_seed(1)
        centers = torch.randn(num_classes, dim, generator=draws)
        splits = {}
        for name, size in {"train": num_train, "val": 60, "test": 80}.items():
            labels = torch.arange(size) % num_classes
            patches = {
                depth: 0.4 * (depth + 1) * centers[labels] + torch.randn(size, dim, generator=draws)
                for depth in range(depths)
            }
            splits[name] = Features(patches, {}, labels, torch.device("cpu"))
        return splits

    return make
