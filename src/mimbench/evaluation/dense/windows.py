"""Attention within windows, but for a few blocks: what large images cost a plain ViT otherwise."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mimbench.core import Grid


class Windows:
    """Runs a ViT's blocks: most on windows that do not overlap, a few, evenly spaced, on the whole image.

    As in ViTDet (Li et al. 2022) the last block of each of `num_global` equal parts is global. ViTDet drops the class
    token; here prefix tokens are in every window and become the mean over windows, so that one window that covers the
    image computes what the plain ViT does. What fills up windows and what is hidden is attended to by nobody.

    Args:
        depth: Number of blocks.
        num_prefix: Class and register tokens at the front of sequences.
        side: Of a window, in patches.
        num_global: Blocks that attend to everything.

    Raises:
        ValueError: The side is below 1, or there are more global blocks than blocks.
    """

    def __init__(self, depth: int, num_prefix: int, side: int = 14, num_global: int = 4):
        if side < 1 or not 0 <= num_global <= depth:
            raise ValueError(
                f"window={side} and global_blocks={num_global} do not fit {depth} blocks; a window has at least one "
                f"patch, and 0 to {depth} blocks can be global."
            )
        self.num_prefix, self.side = num_prefix, side
        self.everywhere = {(part + 1) * depth // num_global - 1 for part in range(num_global)}

    def __call__(
        self,
        number: int,
        block: nn.Module,
        sequence: Float[Tensor, "b s d"],
        grid: Grid,
        hidden: Bool[Tensor, "b s"] | None,
    ) -> Float[Tensor, "b s d"]:
        """One block.

        Args:
            number: Of the block, from 0.
            grid: Rows and columns of the patches behind the prefix tokens.
            hidden: Tokens that nobody may attend to.
        """
        if number in self.everywhere or (grid[0] <= self.side and grid[1] <= self.side):
            return block(sequence, attn_mask=_keys(hidden))
        return self.divided(block, sequence, grid, hidden)

    def divided(
        self, block: nn.Module, sequence: Float[Tensor, "b s d"], grid: Grid, hidden: Bool[Tensor, "b s"] | None
    ) -> Float[Tensor, "b s d"]:
        """One block on windows, whatever their number."""
        p, b = self.num_prefix, len(sequence)
        prefix, patches = sequence[:, :p], sequence[:, p:].unflatten(1, grid)
        windows = partition(patches, self.side)
        absent = partition(_absent(hidden, p, grid, sequence), self.side, filled=True).squeeze(-1)
        n = len(windows) // b
        whole = absent.all(1)  # such a window attends to itself, for softmax needs something; nobody sees it
        absent = F.pad(absent & ~whole[:, None], (p, 0))
        inside = torch.cat([prefix.repeat_interleave(n, dim=0), windows], dim=1)
        out = block(inside, attn_mask=_keys(absent))
        counts = (~whole).to(out.dtype).view(b, n, 1, 1)
        prefix = (out[:, :p].unflatten(0, (b, n)) * counts).sum(1) / counts.sum(1).clamp(min=1)
        return torch.cat([prefix, unpartition(out[:, p:], self.side, grid).flatten(1, 2)], dim=1)


def partition(x: Tensor, side: int, filled: bool = False) -> Tensor:
    """Cuts "b rows columns d" into windows "(b n) side*side d" in raster order.

    Args:
        filled: What stands beyond the edge, where windows reach over it: zero or one.
    """
    bottom, right = (-x.shape[1]) % side, (-x.shape[2]) % side
    x = F.pad(x, (0, 0, 0, right, 0, bottom), value=filled)
    x = x.unflatten(2, (-1, side)).unflatten(1, (-1, side))  # b, rows of windows, side, columns of windows, side, d
    return x.transpose(2, 3).flatten(3, 4).flatten(0, 2)


def unpartition(windows: Float[Tensor, "m k d"], side: int, grid: Grid) -> Float[Tensor, "b rows columns d"]:
    """The inverse of `partition`."""
    down, across = -(-grid[0] // side), -(-grid[1] // side)
    x = windows.unflatten(0, (-1, down, across)).unflatten(3, (side, side)).transpose(2, 3)
    return x.flatten(3, 4).flatten(1, 2)[:, : grid[0], : grid[1]]


def _absent(hidden: Tensor | None, num_prefix: int, grid: Grid, like: Tensor) -> Bool[Tensor, "b rows columns 1"]:
    if hidden is None:
        return torch.zeros(len(like), *grid, 1, dtype=torch.bool, device=like.device)
    return hidden[:, num_prefix:].unflatten(1, grid)[..., None]


def _keys(hidden: Tensor | None) -> Tensor | None:
    """The mask that attention takes: whom all may attend to."""
    return None if hidden is None else ~hidden[:, None, None]
