"""Histograms of oriented gradients."""

import math
from collections.abc import Hashable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mimbench.core import Mask
from mimbench.targets.base import Target


class HOGTarget(Target):
    """Orientation histograms per colour and cell, each of unit length (LocalMIM, released code; MaskFeat).

    Every pixel votes for one bin of its signed orientation with its gradient's magnitude.

    Args:
        cell: Side of a cell in pixels.
        bins: Orientations over half a turn; opposite gradients share a bin.
        bias: Whether to add a frozen random bias to the two gradients, one pair per target. It looks like an
            accident of the released code, but it is the recipe of LocalMIM's ViT-L and Swin, and part of the weights.
        channels: Colours of an image.
    """

    sobel: Tensor
    offset: Tensor | None

    def __init__(self, cell: int, bins: int = 9, bias: bool = False, channels: int = 3):
        super().__init__()
        self.cell = cell
        self.bins = bins
        self.dim = channels * bins
        row = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
        self.register_buffer("sobel", torch.stack([row, row.T])[:, None], persistent=False)
        # PyTorch's default bias of a convolution with a fan-in of 9, which the released code leaves in place.
        self.register_buffer("offset", torch.empty(2).uniform_(-1 / 3, 1 / 3) if bias else None)

    @property
    def preparation(self) -> Hashable:
        return id(self) if self.offset is not None else ("hog", self.bins)

    def prepare(self, images: Float[Tensor, "b c h w"], mask: Mask | None = None) -> Float[Tensor, "b d h w"]:
        b, c, h, w = images.shape
        padded = F.pad(images.reshape(b * c, 1, h, w), (1, 1, 1, 1), mode="reflect")
        first, second = F.conv2d(padded, self.sobel, self.offset).unbind(1)
        bin_of = (torch.atan2(first, second) / math.pi * self.bins).floor().long() % self.bins
        votes = images.new_zeros(b * c, self.bins, h, w)
        votes.scatter_(1, bin_of[:, None], torch.hypot(first, second)[:, None])
        return votes.reshape(b, c * self.bins, h, w)

    def values(self, prepared: Float[Tensor, "b d h w"]) -> Float[Tensor, "b n d"]:
        histogram = F.avg_pool2d(prepared, self.cell).unflatten(1, (-1, self.bins))
        return F.normalize(histogram, dim=2).flatten(1, 2).flatten(2).transpose(1, 2)
