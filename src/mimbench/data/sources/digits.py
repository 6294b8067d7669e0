"""1,797 handwritten digits of 8 x 8 pixels (Alpaydin and Kaynak 1998), the `load_digits` of scikit-learn."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from mimbench.data.holdout import stratified_holdout
from mimbench.data.source import MemorySplit, Source, SplitName

# Rows of 64 pixels from 0 to 16 and a label; license and source are in digits.LICENSE beside it.
_FILE = Path(__file__).with_name("digits.csv.gz")


class Digits(Source):
    """Digits enlarged to image_size. A quarter is "test" and a seventh of the rest "val", both stratified.

    Args:
        seed: Determines the splits. Part of the dataset, not of a run.
    """

    crop_scale = (0.6, 1.0)  # a small crop of a digit can be another digit
    flip = False

    def __init__(self, image_size: int = 32, seed: int = 0) -> None:
        if image_size < 8:
            raise ValueError(f"image_size is {image_size}; digits have 8 x 8 pixels and are only ever enlarged.")
        self.image_size, self.seed = image_size, seed

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple("0123456789")

    def split(self, name: SplitName) -> MemorySplit:
        table = torch.from_numpy(np.loadtxt(_FILE, delimiter=","))
        pixels, labels = table[:, :-1], table[:, -1].long()
        index = self._index(labels, name)
        images = pixels[index].view(-1, 1, 8, 8) * (255 / 16)
        size = [self.image_size, self.image_size]
        images = F.resize(images.float(), size, InterpolationMode.BICUBIC, antialias=True)
        return MemorySplit(images.clamp(0, 255).round().byte().repeat(1, 3, 1, 1), labels[index])

    def _index(self, labels: Int64[Tensor, " n"], name: SplitName) -> Int64[Tensor, " m"]:
        rest, test = stratified_holdout(labels, 1 / 4, self.seed)
        if name == "test":
            return test
        train, val = stratified_holdout(labels[rest], 1 / 7, self.seed)
        return rest[val if name == "val" else train]
