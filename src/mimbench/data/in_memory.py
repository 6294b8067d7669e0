"""Small datasets, decoded once and stored in memory."""

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from mimbench.data.annotated import AnnotatedSplit
from mimbench.data.images.decoding import EncodedSplit
from mimbench.data.source import Split
from mimbench.data.sources.hub import HubSplit


class DecodedSplit(Split):
    """Images of any sizes in one tensor, which forked workers share without copying.

    Damaged images are replaced and counted as in the original split.
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
    """Returns the split with decoded images; splits in memory or with annotations are returned unchanged."""
    if isinstance(split, EncodedSplit | HubSplit) and not isinstance(split, AnnotatedSplit):
        return DecodedSplit(split)
    return split
