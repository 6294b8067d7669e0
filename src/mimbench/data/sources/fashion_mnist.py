"""Fashion-MNIST: 70,000 images of articles of clothing (Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747)."""

from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision import datasets

from mimbench.data.holdout import HoldOut, stratified_holdout
from mimbench.data.source import MemorySplit, Source, SplitName
from mimbench.data.sources.idx import read_idx

CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
SIDE, PADDING = 28, 2
# Debian's package dataset-fashion-mnist.
SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
_PARTS = {"train": ("train", 60_000), "test": ("t10k", 10_000)}


class Part(NamedTuple):
    """Images of 28 x 28 pixels and labels of the official training or test part."""

    images: UInt8[np.ndarray, "n 28 28"]
    labels: UInt8[np.ndarray, " n"]


class FashionMNIST(Source):
    """Gray images of 28 x 28 pixels, padded with black to 32 x 32; "test" is the official test part.

    The files are read from `root` in torchvision's layout or from Debian's package dataset-fashion-mnist; otherwise
    they are downloaded to `root` and their checksums compared.

    Args:
        root: Folder that contains, or will contain, FashionMNIST/raw.
        holdout: Fraction of every class of the official training part that becomes "val".
        seed: Determines the hold-out. Part of the dataset, not of a run.
    """

    crop_scale = (0.5, 1.0)
    flip = True

    def __init__(
        self, root: str | Path, image_size: int = 32, holdout: float = 0.1, download: bool = True, seed: int = 0
    ) -> None:
        self.root, self.image_size, self.download = Path(root), image_size, download
        self.holdout, self.seed = holdout, seed

    @property
    def classes(self) -> tuple[str, ...]:
        return CLASSES

    def prepare(self) -> None:
        if self._folder() is not None:
            return
        if not self.download:
            raise ValueError(
                f"Fashion-MNIST is neither in {self.root} nor in {SYSTEM_FOLDER}. Set data.source.download=true where "
                "there is a network, or install Debian's dataset-fashion-mnist; data=fashion is a part that needs no "
                "download."
            )
        try:
            datasets.FashionMNIST(str(self.root), download=True)
        except (RuntimeError, OSError) as failure:  # URLError is an OSError
            raise ValueError(
                f"Fashion-MNIST could not be downloaded to {self.root} ({failure}). Install Debian's "
                "dataset-fashion-mnist, or choose data=fashion, a part that needs no download."
            ) from failure

    def split(self, name: SplitName) -> MemorySplit:
        if name == "test":
            return as_split(self.part("test"))
        images, labels = self._train
        index = (self._holdout.held if name == "val" else self._holdout.kept).numpy()
        return as_split(Part(images[index], labels[index]))

    def part(self, name: str) -> Part:
        """The official "train" or "test" part.

        Raises:
            ValueError: There are no files, or they are damaged.
        """
        folder = self._folder()
        if folder is None:
            raise ValueError(f"Fashion-MNIST is not in {self.root}.")
        prefix, number = _PARTS[name]
        return Part(
            read_idx(_file(folder, f"{prefix}-images-idx3-ubyte"), (number, SIDE, SIDE)),
            read_idx(_file(folder, f"{prefix}-labels-idx1-ubyte"), (number,)),
        )

    @cached_property
    def _train(self) -> Part:
        return self.part("train")

    @cached_property
    def _holdout(self) -> HoldOut:
        return stratified_holdout(torch.from_numpy(self._train.labels).long(), self.holdout, self.seed)

    def _folder(self) -> Path | None:
        for folder in (self.root / "FashionMNIST" / "raw", SYSTEM_FOLDER):
            if all(_file(folder, f"{prefix}-{kind}").is_file() for prefix, _ in _PARTS.values() for kind in _KINDS):
                return folder
        return None


_KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")


def as_split(part: Part) -> MemorySplit:
    """Padded to 32 x 32 pixels, three equal channels."""
    images: Tensor = torch.from_numpy(np.pad(part.images, ((0, 0), (PADDING, PADDING), (PADDING, PADDING))))
    return MemorySplit(images[:, None].expand(-1, 3, -1, -1).contiguous(), torch.from_numpy(part.labels).long())


def _file(folder: Path, name: str) -> Path:
    """Path of the file, compressed or not."""
    return path if (path := folder / name).is_file() else folder / f"{name}.gz"
