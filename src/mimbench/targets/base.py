"""What a decoder has to predict, and how a miss is measured."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mimbench.core import Grid, Mask


class Target(nn.Module, ABC):
    """Maps an image to one vector per square cell of `cell` pixels.

    The work is cut in two, so that the targets of several decoders share the first part: `prepare` sees the images,
    `values` cuts what was prepared into cells.

    Attributes:
        cell: Side of a cell in pixels.
        dim: Channels of one target vector.
    """

    cell: int
    dim: int

    @property
    def preparation(self) -> Hashable:
        """Targets of equal `preparation` can use each other's `prepare`; by default none can."""
        return id(self)

    def prepare(self, images: Float[Tensor, "b c h w"], mask: Mask | None = None) -> Any:
        """The part that does not depend on the cell size, for `values`; the images by default.

        Args:
            mask: What the encoder does not see; most targets do not depend on it.
        """
        return images

    @abstractmethod
    def values(self, prepared: Any) -> Float[Tensor, "b n d"]:
        """Target vectors in raster order."""

    def error(self, prediction: Float[Tensor, "b n d"], value: Float[Tensor, "b n d"]) -> Float[Tensor, "b n"]:
        """Error per cell; the squared error averaged over channels unless overridden."""
        return (prediction.to(value.dtype) - value).square().mean(dim=-1)

    def spread(self, count: int) -> "Sequence[Target]":
        """A target for each of several decoders, from shallow to deep; the same for all unless overridden."""
        return [self] * count

    def grid(self, images: Float[Tensor, "b c h w"]) -> Grid:
        """Cells of an image, (rows, columns)."""
        return images.shape[-2] // self.cell, images.shape[-1] // self.cell

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "b c h w"], mask: Mask | None = None) -> Float[Tensor, "b n d"]:
        """Target vectors of images in raster order, in the images' own precision."""
        return target_values([self], images, mask)[self]


TargetAt = Callable[[int], Target]
"""Makes a target for a cell size in pixels."""


@torch.no_grad()
def target_values(
    targets: Sequence[Target], images: Float[Tensor, "b c h w"], mask: Mask | None = None
) -> dict[Target, Tensor]:
    """The values of several targets; what they share is computed once, and never under autocast."""
    prepared: dict[Hashable, Any] = {}
    values: dict[Target, Tensor] = {}
    device = "cpu" if images.is_meta else images.device.type
    with torch.autocast(device, enabled=False):
        for target in dict.fromkeys(targets):
            if target.preparation not in prepared:
                prepared[target.preparation] = target.prepare(images, mask)
            values[target] = target.values(prepared[target.preparation])
    return values
