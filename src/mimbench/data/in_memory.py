"""Small datasets of files, decoded once and kept."""

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from mimbench.data.annotated import AnnotatedSplit
from mimbench.data.images.decoding import EncodedSplit
from mimbench.data.source import Split
from mimbench.data.sources.hub import HubSplit


class DecodedSplit(Split):
    """Images of any sizes in one tensor, which forked workers share instead of copying it.

    What could not be read is, and counts, as in the split they come from.
    """

    def __init__(self, split: Split) -> None:
        images, labels = zip(*(split[i] for i in range(len(split))), strict=True)
        self.labels = torch.tensor(labels)
        self.pixels = torch.cat([image.permute(1, 2, 0).reshape(-1) for image in images])
        self.sizes = np.array([image.shape[1:] for image in images])
        self.ends = np.cumsum(3 * self.sizes.prod(1))

    def __getitem__(self, i: int) -> tuple[UInt8[Tensor, "3 h w"], int]:
        height, width = self.sizes[i].tolist()
        end = int(self.ends[i])
        pixels = self.pixels[end - 3 * height * width : end]
        return pixels.view(height, width, 3).permute(2, 0, 1), int(self.labels[i])


def decoded(split: Split) -> Split:
    """A split that need not decode again; one that never did, or knows more than images and labels, as it is."""
    if isinstance(split, EncodedSplit | HubSplit) and not isinstance(split, AnnotatedSplit):
        return DecodedSplit(split)
    return split
