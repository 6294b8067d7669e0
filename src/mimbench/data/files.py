"""A split of image files, read when asked for."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
from jaxtyping import Int64, UInt8
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from mimbench.data.damaged import Damaged
from mimbench.data.source import Split

UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, PIL.Image.DecompressionBombError)


def to_tensor(picture: PIL.Image.Image, min_size: int) -> UInt8[Tensor, "3 h w"]:
    """Three colours, whatever the file had. Raises ValueError for a picture smaller than min_size."""
    if min(picture.size) < min_size:
        raise ValueError(f"{picture.width} x {picture.height} px, smaller than min_size={min_size}")
    return pil_to_tensor(picture.convert("RGB"))


class FileSplit(Split):
    """Image files and their labels.

    A damaged or too small file is replaced by the next readable one of the split, label included; it is counted.
    """

    def __init__(
        self, files: Sequence[Path | str], labels: Int64[Tensor, " n"], damaged: Damaged, min_size: int
    ) -> None:
        # One array of bytes: a million Python strings would be copied into every worker.
        self._files = np.array([os.fsencode(file) for file in files])
        self.labels, self.damaged, self.min_size = labels, damaged, min_size

    def file(self, i: int) -> Path:
        return Path(os.fsdecode(bytes(self._files[i])))

    def __getitem__(self, i: int) -> tuple[UInt8[Tensor, "3 h w"], int]:
        for j in (np.arange(i, i + len(self)) % len(self)).tolist():
            try:
                with PIL.Image.open(self.file(j)) as picture:
                    return to_tensor(picture, self.min_size), int(self.labels[j])
            except UNREADABLE as error:
                self.damaged.add(str(self.file(j)), error)
        raise ValueError(f"Not one of {len(self)} pictures can be read; the first is {self.file(0)}.")

    def check_sizes(self, at_most: int) -> None:
        """Reads the headers of evenly spaced files. Raises ValueError for one that is smaller than min_size."""
        step = -(-len(self) // at_most)
        for i in range(0, len(self), step):
            try:
                with PIL.Image.open(self.file(i)) as picture:
                    width, height = picture.size
            except UNREADABLE:
                continue  # damaged files are met, counted and replaced when they are read
            if min(width, height) < self.min_size:
                raise ValueError(
                    f"{self.file(i)} has {width} x {height} px, fewer than min_size={self.min_size} (about one patch); "
                    "remove it or lower min_size."
                )


def subset(split: FileSplit, index: Int64[Tensor, " m"]) -> FileSplit:
    """Some files of a split."""
    return FileSplit([split.file(i) for i in index.tolist()], split.labels[index], split.damaged, split.min_size)
