"""A part of Fashion-MNIST that comes with this package: 10,000 training and 5,000 test images."""

import lzma
from functools import cached_property
from importlib.resources import files

import numpy as np
import torch

from mimbench.core.counter_rng import permutation
from mimbench.data.holdout import HoldOut, stratified_holdout
from mimbench.data.source import MemorySplit, Source, SplitName
from mimbench.data.sources.fashion_mnist import CLASSES, SIDE, FashionMNIST, Part, as_split

FILE = "fashion.xz"
SEED = 0
PER_CLASS = {"train": 1000, "test": 500}
STEP = 5  # Gray levels are rounded to multiples of 5, which makes the file a third smaller.


class Fashion(Source):
    """Class-balanced parts of the official training and test images, which are not mixed; padded to 32 x 32 pixels.

    Gray levels are rounded to multiples of 5 (52 levels), so that the file has less than 4 MB; otherwise these are the
    images of `FashionMNIST`. Images: copyright Zalando SE, MIT License (see fashion.LICENSE beside this file).

    Args:
        holdout: Fraction of every class of the training images that becomes "val".
        seed: Determines the hold-out. Part of the dataset, not of a run.
    """

    crop_scale = FashionMNIST.crop_scale
    flip = FashionMNIST.flip

    def __init__(self, image_size: int = 32, holdout: float = 0.1, seed: int = 0) -> None:
        self.image_size, self.holdout, self.seed = image_size, holdout, seed

    @property
    def classes(self) -> tuple[str, ...]:
        return CLASSES

    def split(self, name: SplitName) -> MemorySplit:
        if name == "test":
            return as_split(self._parts["test"])
        images, labels = self._parts["train"]
        index = (self._holdout.held if name == "val" else self._holdout.kept).numpy()
        return as_split(Part(images[index], labels[index]))

    @cached_property
    def _holdout(self) -> HoldOut:
        return stratified_holdout(torch.from_numpy(self._parts["train"].labels).long(), self.holdout, self.seed)

    @cached_property
    def _parts(self) -> dict[str, Part]:
        content = lzma.decompress(files("mimbench.data.sources").joinpath(FILE).read_bytes())
        images = STEP * np.frombuffer(content, np.uint8).reshape(-1, SIDE, SIDE)
        parts, start = {}, 0
        for name, number in PER_CLASS.items():
            labels = np.repeat(np.arange(len(CLASSES), dtype=np.uint8), number)
            parts[name] = Part(images[start : start + len(labels)], labels)
            start += len(labels)
        return parts


def encode(source: FashionMNIST) -> bytes:
    """The content of the file: for each part, class by class, images of 28 x 28 bytes, compressed.

    The first images of each class in a random order with seed `SEED` are chosen.
    """
    chosen = []
    for name, number in PER_CLASS.items():
        images, labels = source.part(name)
        order = permutation(len(labels), SEED, "fashion", name)
        for label in range(len(CLASSES)):
            index = order[labels[order] == label][:number]
            chosen.append(np.rint(images[index] / STEP).astype(np.uint8))
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "lp": 0, "pb": 0}]
    return lzma.compress(np.concatenate(chosen).tobytes(), lzma.FORMAT_XZ, filters=filters)
