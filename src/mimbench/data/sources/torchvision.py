"""Datasets of torchvision."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision import datasets

from mimbench.data.holdout import HoldOut, stratified_holdout
from mimbench.data.images.files import FileSplit, subset
from mimbench.data.images.rules import Rules
from mimbench.data.images.unreadable import Damaged
from mimbench.data.source import MemorySplit, Source, Split, SplitName


class Known(NamedTuple):
    """A dataset of torchvision.

    Attributes:
        train: Arguments of the constructor for the training part.
        test: Arguments for the test part; None if there is no official one.
        image_size: Usual side of images in pixels.
        crop_scale: Relative areas of training crops that keep the class of an image.
        flip: Whether a flipped image has the same class.
    """

    constructor: Callable[..., Any]
    train: dict[str, Any]
    test: dict[str, Any] | None
    image_size: int
    crop_scale: tuple[float, float] = Source.crop_scale
    flip: bool = True


KNOWN = {
    "CIFAR10": Known(datasets.CIFAR10, {"train": True}, {"train": False}, 32),
    "CIFAR100": Known(datasets.CIFAR100, {"train": True}, {"train": False}, 32),
    "STL10": Known(datasets.STL10, {"split": "train"}, {"split": "test"}, 96),
    "Flowers102": Known(datasets.Flowers102, {"split": "train"}, {"split": "test"}, 224),
    "Food101": Known(datasets.Food101, {"split": "train"}, {"split": "test"}, 224),
    "MNIST": Known(datasets.MNIST, {"train": True}, {"train": False}, 32, (0.5, 1.0), False),
    "KMNIST": Known(datasets.KMNIST, {"train": True}, {"train": False}, 32, (0.5, 1.0), False),
    "SVHN": Known(datasets.SVHN, {"split": "train"}, {"split": "test"}, 32, (0.5, 1.0), False),
    "EuroSAT": Known(datasets.EuroSAT, {}, None, 64),
    "OxfordIIITPet": Known(datasets.OxfordIIITPet, {"split": "trainval"}, {"split": "test"}, 224),
}
# Test fraction of each class, drawn with seed 0, for a dataset without an official test part.
TEST_FRACTION = 0.2
# Gray images of 28 x 28 pixels are padded with black to 32 x 32.
_PADDING = 2


class TorchVision(Source):
    """A dataset of `KNOWN`; of STL10 the labeled part. "val" is held out of the training part.

    Args:
        root: Folder of the downloaded files.
        holdout: Fraction of every training class that becomes "val".
        max_damaged: Damaged image files allowed per process (Flowers102, Food101).
        min_size: Smallest side of an image file in pixels.
        seed: Determines the hold-out. Part of the dataset, not of a run.
    """

    def __init__(
        self,
        name: str,
        root: str | Path,
        image_size: int | None = None,
        holdout: float = 0.1,
        max_damaged: int = 10,
        min_size: int = 16,
        download: bool = True,
        seed: int = 0,
    ) -> None:
        if name not in KNOWN:
            raise ValueError(f"Unknown torchvision dataset {name!r}; choose from {', '.join(KNOWN)}.")
        self.name, self.known, self.root, self.download = name, KNOWN[name], Path(root), download
        self.image_size = self.known.image_size if image_size is None else image_size
        self.crop_scale, self.flip = self.known.crop_scale, self.known.flip
        self.holdout, self.seed = holdout, seed
        self.rules = Rules(Damaged(max_damaged), min_size)

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(getattr(self._train_part, "classes", "0123456789"))  # SVHN's digits have no names

    def prepare(self) -> None:
        for part in (self.known.train, self.known.test):
            if part is not None:
                self._load(part)

    def split(self, name: SplitName) -> Split:
        if name == "test":
            if self.known.test is None:
                return self._as_split(self._train_part, self._test.held)
            return self._as_split(self._load(self.known.test))
        index = self._holdout.held if name == "val" else self._holdout.kept
        return self._as_split(self._train_part, index if self.known.test else self._test.kept[index])

    @cached_property
    def _train_part(self) -> Any:
        return self._load(self.known.train)

    @cached_property
    def _test(self) -> HoldOut:
        """The test images of a dataset without an official test part; they do not depend on `seed`."""
        return stratified_holdout(labels_of(self._train_part), TEST_FRACTION, 0)

    @cached_property
    def _holdout(self) -> HoldOut:
        labels = labels_of(self._train_part)
        return stratified_holdout(labels if self.known.test else labels[self._test.kept], self.holdout, self.seed)

    def _load(self, part: dict[str, Any]) -> Any:
        try:
            return self.known.constructor(self.root, download=False, **part)
        except (RuntimeError, OSError) as missing:
            if not self.download:
                raise ValueError(
                    f"{self.name} is not in {self.root} ({missing}). Set download=true on a machine with a network, "
                    f"or copy the folder of a machine that has it."
                ) from missing
        try:
            return self.known.constructor(self.root, download=True, **part)
        except (RuntimeError, OSError) as failure:  # URLError is an OSError
            raise ValueError(
                f"{self.name} is not in {self.root} and could not be downloaded ({failure}). Run once where there is a "
                "network and copy the folder here, or choose a dataset that needs none: fashion, photos, shapes."
            ) from failure

    def _as_split(self, dataset: Any, index: torch.Tensor | None = None) -> Split:
        labels = labels_of(dataset)
        kept = torch.arange(len(labels)) if index is None else index
        if (paths := _paths(dataset)) is not None:
            split = FileSplit(paths, labels, self.rules)
            return subset(split, kept)
        return MemorySplit(_channels_first(np.asarray(dataset.data)[kept.numpy()]), labels[kept])


def _paths(dataset: Any) -> list[Path] | None:
    """Image files of a dataset of torchvision; None if its images are in memory."""
    if hasattr(dataset, "samples"):
        return [Path(path) for path, _ in dataset.samples]
    for name in ("_image_files", "_images"):
        if hasattr(dataset, name):
            return [Path(path) for path in getattr(dataset, name)]
    return None


def _channels_first(images: UInt8[np.ndarray, "n ..."]) -> UInt8[Tensor, "n 3 h w"]:
    if images.ndim == 3:
        side = (_PADDING, _PADDING)
        return torch.from_numpy(np.pad(images, ((0, 0), side, side)))[:, None].repeat(1, 3, 1, 1)
    images = images.transpose(0, 3, 1, 2) if images.shape[-1] == 3 else images
    return torch.from_numpy(np.ascontiguousarray(images))


def labels_of(dataset: Any) -> torch.Tensor:
    """Labels of a dataset of torchvision."""
    for name in ("targets", "labels", "_labels"):
        if hasattr(dataset, name):
            return torch.as_tensor(np.asarray(getattr(dataset, name))).long()
    raise TypeError(f"{type(dataset).__name__} has no labels.")
