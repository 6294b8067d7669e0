"""Annotated images that are rendered on request."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import UInt8
from torch import Tensor

from mimbench.data.annotated import AnnotatedSplit, Objects
from mimbench.data.source import Samples
from mimbench.data.synthetic.occlusion import Layers

_LARGEST = 2**27  # bytes up to which the rendered images of a split stay in memory


class PaintedSplit(AnnotatedSplit):
    """Overlapping shapes on a background; image i is a function of i."""

    def __init__(self, length: int, size: int) -> None:
        self.size, self.labels = size, torch.full((length,), -1)
        self._painted: dict[int, Tensor] = {}
        self._kept = length * size**2 * 3 <= _LARGEST

    @abstractmethod
    def layers(self, i: int) -> Layers:
        """The shapes of an image."""

    @abstractmethod
    def paint(self, i: int) -> UInt8[Tensor, "3 h w"]:
        """The image."""

    def __getitem__(self, i: int) -> tuple[UInt8[Tensor, "3 h w"], int]:
        return self.take([i]).images[0], -1

    def take(self, indices: Sequence[int]) -> Samples:
        images = torch.stack([self._image(int(i) % len(self)) for i in indices])
        return Samples(images, self.labels[torch.as_tensor(indices)])

    def objects(self, i: int) -> Objects:
        return self.layers(i).objects()

    def _image(self, i: int) -> UInt8[Tensor, "3 h w"]:
        if i in self._painted:
            return self._painted[i]
        image = self.paint(i)
        if self._kept:
            self._painted[i] = image
        return image
