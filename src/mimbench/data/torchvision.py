"""torchvision's named datasets, downloaded where there is a network."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torchvision import datasets

from mimbench.data.damaged import Damaged
from mimbench.data.files import FileSplit, subset
from mimbench.data.holdout import HoldOut, stratified_holdout
from mimbench.data.source import MemorySplit, Source, Split, SplitName


class Known(NamedTuple):
    """A constructor, what it calls its training and test part, and the usual side in pixels."""

    constructor: Callable[..., Any]
    train: dict[str, Any]
    test: dict[str, Any]
    image_size: int


KNOWN = {
    "CIFAR10": Known(datasets.CIFAR10, {"train": True}, {"train": False}, 32),
    "CIFAR100": Known(datasets.CIFAR100, {"train": True}, {"train": False}, 32),
    "STL10": Known(datasets.STL10, {"split": "train"}, {"split": "test"}, 96),
    "Flowers102": Known(datasets.Flowers102, {"split": "train"}, {"split": "test"}, 224),
    "Food101": Known(datasets.Food101, {"split": "train"}, {"split": "test"}, 224),
}


class TorchVision(Source):
    """CIFAR10, CIFAR100, STL10 (its labelled part), Flowers102 or Food101. "val" is held out of the training part.

    Args:
        root: Folder that holds, or will hold, the downloaded files.
        holdout: Fraction of every training class that becomes "val".
        max_damaged: Damaged image files tolerated per process (Flowers102, Food101).
        min_size: Smallest side of an image file in pixels.
        seed: Decides the hold-out. Part of the dataset, not of a run.
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
        self.holdout, self.min_size, self.seed = holdout, min_size, seed
        self.damaged = Damaged(max_damaged)

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self._train_part.classes)

    def prepare(self) -> None:
        for part in (self.known.train, self.known.test):
            self._load(part)

    def split(self, name: SplitName) -> Split:
        if name == "test":
            return self._as_split(self._load(self.known.test))
        return self._as_split(self._train_part, self._holdout.held if name == "val" else self._holdout.kept)

    @cached_property
    def _train_part(self) -> Any:
        return self._load(self.known.train)

    @cached_property
    def _holdout(self) -> HoldOut:
        return stratified_holdout(labels_of(self._train_part), self.holdout, self.seed)

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
                f"network and copy the folder here, or choose a dataset that needs none: photos, digits, shapes."
            ) from failure

    def _as_split(self, dataset: Any, index: torch.Tensor | None = None) -> Split:
        labels = labels_of(dataset)
        kept = torch.arange(len(labels)) if index is None else index
        if hasattr(dataset, "_image_files"):
            split = FileSplit(dataset._image_files, labels, self.damaged, self.min_size)
            return subset(split, kept)
        images = torch.from_numpy(np.asarray(dataset.data)[kept.numpy()])
        channels_last = images.shape[-1] == 3
        return MemorySplit(images.permute(0, 3, 1, 2).contiguous() if channels_last else images, labels[kept])


def labels_of(dataset: Any) -> torch.Tensor:
    """Labels under any of the names torchvision uses."""
    for name in ("targets", "labels", "_labels"):
        if hasattr(dataset, name):
            return torch.as_tensor(np.asarray(getattr(dataset, name))).long()
    raise TypeError(f"{type(dataset).__name__} has no labels.")
