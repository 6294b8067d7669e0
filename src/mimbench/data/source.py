"""Data sources: three disjoint splits of labeled 8-bit images."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from mimbench.data.order import Order, shuffled

SplitName = Literal["train", "val", "test"]
Image = UInt8[Tensor, "3 h w"]


class Samples(NamedTuple):
    """Images of a split: one tensor "b 3 h w" if all have the same size, otherwise a list of "3 h w"."""

    images: UInt8[Tensor, "b 3 h w"] | list[Tensor]
    labels: Int64[Tensor, " b"]


class Split(Dataset[tuple[Tensor, int]], ABC):
    """Labeled images in a fixed order; `split[i]` is a function of i."""

    labels: Int64[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def __getitem__(self, i: int) -> tuple[UInt8[Tensor, "3 h w"], int]: ...

    def take(self, indices: Sequence[int]) -> Samples:
        """Several images at once; override this if that is faster than one by one."""
        images, labels = zip(*(self[i] for i in indices), strict=True)
        return Samples(list(images), torch.tensor(labels))

    def order(self, seed: int, epoch: int) -> Order:
        """The order in which training reads the images."""
        return shuffled(len(self), seed, epoch)

    def for_training(self) -> "Split":
        """The same images, prepared to be read in the order of training."""
        return self


class MemorySplit(Split):
    """A split with decoded images in memory."""

    def __init__(self, images: UInt8[Tensor, "n 3 h w"], labels: Int64[Tensor, " n"]) -> None:
        self.images, self.labels = images, labels

    def __getitem__(self, i: int) -> tuple[UInt8[Tensor, "3 h w"], int]:
        return self.images[i], int(self.labels[i])

    def take(self, indices: Sequence[int]) -> Samples:
        index = torch.as_tensor(indices)
        return Samples(self.images[index], self.labels[index])


class Source(ABC):
    """A dataset. Pre-train on "train", select on "val", read "test" once."""

    image_size: int
    # Augmentation that does not change the class of an image; by default the values of the papers.
    crop_scale: tuple[float, float] = (0.2, 1.0)
    flip: bool = True

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]: ...

    @abstractmethod
    def split(self, name: SplitName) -> Split:
        """One of the three splits. Raises ValueError when the data are missing or unusable."""

    def prepare(self) -> None:
        """Downloads missing files. Called in one process per machine before splits are read."""
        return


def split_lengths(
    train: int, val: int, test: int, least: int = 1, need: str = "it must be at least 1"
) -> dict[SplitName, int]:
    """Numbers of images of the splits of a synthetic source.

    Raises:
        ValueError: A split has fewer than `least`; `need` says what it needs.
    """
    lengths: dict[SplitName, int] = {"train": train, "val": val, "test": test}
    for name, length in lengths.items():
        if length < least:
            raise ValueError(f"num_{name} is {length}; {need}.")
    return lengths
