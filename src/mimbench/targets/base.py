"""Interface of all targets: the values that a decoder predicts, and the error of a prediction."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mimbench.core import Grid, Mask


class Target(nn.Module, ABC):
    """Maps an image to one vector per square cell of `cell` pixels.

    The computation has two steps, so that the targets of several decoders can share the first: `prepare` processes the
    images, and `values` turns the result into vectors per cell.

    Attributes:
        cell: Side of a cell in pixels.
        dim: Channels of one target vector.
    """

    cell: int
    dim: int

    @property
    def preparation(self) -> Hashable:
        """Targets with equal `preparation` share one call of `prepare`; by default each target has its own."""
        return id(self)

    def prepare(self, images: Float[Tensor, "b c h w"], mask: Mask | None = None) -> Any:
        """The step that does not depend on the cell size; returns the images by default.

        Args:
            mask: The mask that the encoder receives; most targets do not depend on it.
        """
        return images

    @abstractmethod
    def values(self, prepared: Any) -> Float[Tensor, "b n d"]:
        """Target vectors in raster order."""

    def error(self, prediction: Float[Tensor, "b n d"], value: Float[Tensor, "b n d"]) -> Float[Tensor, "b n"]:
        """Error per cell; the squared error averaged over channels unless overridden."""
        return (prediction.to(value.dtype) - value).square().mean(dim=-1)

    def per_decoder(self, count: int) -> "Sequence[Target]":
        """One target for each of `count` decoders, from shallow to deep; the same for all unless overridden."""
        return [self] * count

    def grid(self, images: Float[Tensor, "b c h w"]) -> Grid:
        """The target's cells of an image, (rows, columns)."""
        return images.shape[-2] // self.cell, images.shape[-1] // self.cell

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "b c h w"], mask: Mask | None = None) -> Float[Tensor, "b n d"]:
        """Target vectors of images in raster order, in the images' own precision."""
        return target_values([self], images, mask)[self]


TargetAt = Callable[[int], Target]
"""Builds a target for a cell size in pixels."""


@torch.no_grad()
def target_values(
    targets: Sequence[Target], images: Float[Tensor, "b c h w"], mask: Mask | None = None
) -> dict[Target, Tensor]:
    """Values of several targets, without autocast; targets with equal `preparation` are prepared once."""
    prepared: dict[Hashable, Any] = {}
    values: dict[Target, Tensor] = {}
    device = "cpu" if images.is_meta else images.device.type
    with torch.autocast(device, enabled=False):
        for target in dict.fromkeys(targets):
            if target.preparation not in prepared:
                prepared[target.preparation] = target.prepare(images, mask)
            values[target] = target.values(prepared[target.preparation])
    return values
