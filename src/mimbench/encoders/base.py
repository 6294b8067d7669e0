"""The contract every encoder of the zoo keeps."""

from abc import ABC, abstractmethod
from collections.abc import Collection

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mimbench.core import Grid, Mask, Tap, Tokens


class Encoder(nn.Module, ABC):
    """A timm trunk that can run on the visible part of an image.

    Depth is counted in units a token has passed: 0 is the embedding, `depth` the output.
    A unit is a block for ViT and a stage with its merging for Swin.

    Attributes:
        trunk: The timm model; its state dict is the only weight format of the project.
        taps: What is delivered at depth 0 to `depth`.
    """

    trunk: nn.Module
    taps: tuple[Tap, ...]

    @property
    def depth(self) -> int:
        """Number of units."""
        return len(self.taps) - 1

    @property
    def mask_grid(self) -> Grid:
        """The grid on which masks are drawn."""
        return self.taps[-1].grid

    @abstractmethod
    def forward(
        self,
        images: Float[Tensor, "b c h w"],
        depths: Collection[int],
        mask: Mask | None = None,
        blank: Float[Tensor, "1 1 d"] | None = None,
    ) -> dict[int, Tokens]:
        """Encodes images and delivers the tokens at `depths`; without a mask everything is visible.

        The trunk's own final norm is applied at the last depth and nowhere else.

        Args:
            blank: Stands in for the embedding of every hidden patch, before positions are added. All patches are
                encoded then; without it, those that are visible.
        """

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recomputes activations in the backward pass: less memory, about a third more time."""
        self.grad_checkpointing = enable


def blanked(
    patches: Float[Tensor, "b n d"], mask: Mask, grid: Grid, blank: Float[Tensor, "1 1 d"]
) -> Float[Tensor, "b n d"]:
    """Embedded patches of a grid with `blank` where the mask hides them."""
    return torch.where(mask.weights(grid)[..., None] > 0, blank.to(patches.dtype), patches)
