"""Window attention in most blocks of a ViT, which makes large images affordable (ViTDet)."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mimbench.core import Grid


class Windows:
    """Runs the blocks of a ViT: most on windows that do not overlap, a few evenly spaced ones on the whole image.

    As in ViTDet (Li et al. 2022), the blocks are divided into `num_global` equal parts, and the last block of each part
    is global. ViTDet drops the class token; here every window contains the prefix tokens, and their outputs are
    averaged over windows, so that a single window over the whole image equals the plain ViT. No token attends to hidden
    tokens or to the padding of windows.

    Args:
        depth: Number of blocks.
        num_prefix: Number of class and register tokens at the beginning of sequences.
        side: Side of a window in patches.
        num_global: Number of blocks with global attention.

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
        self.global_blocks = {(part + 1) * depth // num_global - 1 for part in range(num_global)}

    def __call__(
        self,
        number: int,
        block: nn.Module,
        sequence: Float[Tensor, "b s d"],
        grid: Grid,
        hidden: Bool[Tensor, "b s"] | None,
    ) -> Float[Tensor, "b s d"]:
        """Runs one block.

        Args:
            number: Number of the block, from 0.
            grid: Rows and columns of the patches that follow the prefix tokens.
            hidden: True for tokens that no token may attend to.
        """
        if number in self.global_blocks or (grid[0] <= self.side and grid[1] <= self.side):
            return block(sequence, attn_mask=_keys(hidden))
        return self.run_windows(block, sequence, grid, hidden)

    def run_windows(
        self, block: nn.Module, sequence: Float[Tensor, "b s d"], grid: Grid, hidden: Bool[Tensor, "b s"] | None
    ) -> Float[Tensor, "b s d"]:
        """Runs one block on windows, even if one window covers the image."""
        p, b = self.num_prefix, len(sequence)
        prefix, patches = sequence[:, :p], sequence[:, p:].unflatten(1, grid)
        windows = partition(patches, self.side)
        absent = partition(_absent(hidden, p, grid, sequence), self.side, filled=True).squeeze(-1)
        n = len(windows) // b
        empty = absent.all(
            1
        )  # these windows attend to themselves, since softmax needs a key; their outputs are dropped
        absent = F.pad(absent & ~empty[:, None], (p, 0))
        inside = torch.cat([prefix.repeat_interleave(n, dim=0), windows], dim=1)
        out = block(inside, attn_mask=_keys(absent))
        counts = (~empty).to(out.dtype).view(b, n, 1, 1)
        prefix = (out[:, :p].unflatten(0, (b, n)) * counts).sum(1) / counts.sum(1).clamp(min=1)
        return torch.cat([prefix, unpartition(out[:, p:], self.side, grid).flatten(1, 2)], dim=1)


def partition(x: Tensor, side: int, filled: bool = False) -> Tensor:
    """Cuts "b rows columns d" into windows "(b n) side*side d" in raster order.

    Args:
        filled: Value of the padding, where windows extend beyond the grid: False for 0, True for 1.
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
    """The attention mask of timm's blocks, True for tokens that may be attended to; None if all may."""
    return None if hidden is None else ~hidden[:, None, None]
