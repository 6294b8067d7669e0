"""Interface of all encoders."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mimbench.core import Grid, Mask, Tap, Tokens


class Encoder(nn.Module, ABC):
    """A timm trunk that can run on the visible part of an image.

    Depth counts the units that a token has passed: 0 is the embedding, `depth` the output.
    A unit is a block of a ViT, or a stage of a Swin with its patch merging.

    Attributes:
        trunk: The timm model; its state dict is the project's only weight format.
        taps: Output shapes at depths 0 to `depth`.
    """

    trunk: nn.Module
    taps: tuple[Tap, ...]
    grad_checkpointing: bool

    @property
    def depth(self) -> int:
        """Number of units."""
        return len(self.taps) - 1

    @property
    def final_norm(self) -> nn.Module:
        """The norm of the output."""
        return self.trunk.get_submodule("norm")

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
        mask_token: Float[Tensor, "1 1 d"] | None = None,
        normed: bool = True,
    ) -> dict[int, Tokens]:
        """Encodes images and returns the tokens at `depths`; without a mask all patches are visible.

        The final norm is applied at the last depth only.

        Args:
            mask_token: Replaces the embedding of every hidden patch, before positions are added; all patches are then
                encoded. Without it, only the visible ones are.
            normed: Whether to apply the final norm; without it, the last depth is raw like all others.
        """

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recomputes activations in the backward pass: less memory, about a third more time."""
        self.grad_checkpointing = enable


def replace_hidden(
    patches: Float[Tensor, "b n d"], mask: Mask, grid: Grid, mask_token: Float[Tensor, "1 1 d"]
) -> Float[Tensor, "b n d"]:
    """Patch embeddings of a full grid with `mask_token` in place of the hidden ones."""
    return torch.where(mask.hides(grid)[..., None], mask_token.to(patches.dtype), patches)


def run_blocks(
    x: Tokens,
    blocks: Sequence[Callable[[Tensor], Tensor]],
    depths: Collection[int],
    norm: nn.Module | None,
    recompute: bool,
) -> dict[int, Tokens]:
    """The tokens at `depths` of blocks that map "b s d" to "b s d"; no block runs beyond the last of these.

    Args:
        norm: Applied to the output of the last block.
        recompute: Whether the backward pass computes activations again.
    """
    out, sequence = {0: x} if 0 in depths else {}, x.sequence
    for depth, block in enumerate(blocks, start=1):
        if depth > max(depths):
            break
        sequence = checkpoint(block, sequence, use_reentrant=False) if recompute else block(sequence)
        if depth in depths:
            out[depth] = x.with_sequence(norm(sequence) if norm and depth == len(blocks) else sequence)
    return out
