"""A split of image files, which are read on request."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
from jaxtyping import Int64, UInt8
from torch import Tensor

from mimbench.data.images.decoding import UNREADABLE as UNREADABLE
from mimbench.data.images.decoding import EncodedSplit, check_image
from mimbench.data.images.pixels import pixels, upright
from mimbench.data.images.rules import Rules


def to_tensor(image: PIL.Image.Image, rules: Rules) -> UInt8[Tensor, "3 h w"]:
    """An image with three colors. Raises ValueError if it is smaller than allowed or not supported."""
    check_image(image, rules.min_size)
    return pixels(upright(image) if rules.upright else image)


class FileSplit(EncodedSplit):
    """Image files and their labels."""

    def __init__(self, files: Sequence[Path | str], labels: Int64[Tensor, " n"], rules: Rules) -> None:
        # One array of bytes: a million Python strings would be copied into every worker.
        self._files = np.array([os.fsencode(file) for file in files])
        self.labels, self.rules = labels, rules

    def file(self, i: int) -> Path:
        return Path(os.fsdecode(bytes(self._files[i])))

    def stream(self, i: int) -> Path:
        return self.file(i)

    def title(self, i: int) -> str:
        return str(self.file(i))


def subset(split: FileSplit, index: Int64[Tensor, " m"]) -> FileSplit:
    """A part of the files of a split."""
    return FileSplit([split.file(i) for i in index.tolist()], split.labels[index], split.rules)
