"""Swin blocks on grids of any size."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from timm.models.swin_transformer import SwinTransformerBlock, window_partition, window_reverse
from torch import Tensor

from mimbench.core import Grid

_NEVER = -1e4  # finite, since softmax over a window of padding alone must not be NaN; its exponential is 0


def dense_block(
    block: SwinTransformerBlock, x: Float[Tensor, "b h w d"], trained: Grid, shown: Bool[Tensor, "b h w"] | None
) -> Float[Tensor, "b h w d"]:
    """Runs a Swin block on a grid of any size; on the grid `trained` without padding it is timm's own forward pass.

    Other grids are padded to whole windows and then shifted, as in Swin's released code; timm shifts first, which
    splits windows at the border. No token attends to padding; in the released code padding takes part as zeros.

    Args:
        trained: The grid that the block was built for.
        shown: True for cells that contain part of the image; None if all do.
    """
    if shown is None and x.shape[1:3] == trained:
        return block(x)
    x = x + block.drop_path1(_attention(block, block.norm1(x), shown))
    return x + block.drop_path2(block.mlp(block.norm2(x)))


def _attention(block: SwinTransformerBlock, x: Tensor, shown: Tensor | None) -> Tensor:
    b, height, width, _ = x.shape
    window = block.window_size
    # Blocks that shift do so only on grids larger than a window, as in timm.
    shifted = any(block.target_shift_size)
    down, across = (
        -(side // 2) if shifted and length > side else 0 for length, side in zip((height, width), window, strict=True)
    )
    shift = down, across
    below, right = -height % window[0], -width % window[1]
    x = torch.roll(F.pad(x, (0, 0, 0, right, 0, below)), shift, (1, 2))
    same_region = _same_region((x.shape[1], x.shape[2]), window, shift, x.device)
    if shown is None:
        shown = torch.ones(1, height, width, dtype=torch.bool, device=x.device)
    shown = torch.roll(F.pad(shown, (0, right, 0, below)), shift, (1, 2)).expand(b, -1, -1)
    keys = window_partition(shown[..., None], window).flatten(1)[:, None, :]
    mask = same_region.repeat(b, 1, 1) & keys
    bias = torch.zeros(mask.shape, dtype=x.dtype, device=x.device).masked_fill_(~mask, _NEVER)
    y = block.attn(window_partition(x, window).flatten(1, 2), mask=bias)
    y = window_reverse(y.unflatten(1, window), window, x.shape[1], x.shape[2])
    return torch.roll(y, (-down, -across), (1, 2))[:, :height, :width]


def _same_region(grid: Grid, window: Grid, shift: Grid, device: torch.device) -> Bool[Tensor, "windows n n"]:
    """Marks pairs of tokens of a window that are neighbors in the image.

    Shifting puts opposite borders side by side.
    """
    rows, columns = (torch.arange(n, device=device) >= n + s for n, s in zip(grid, shift, strict=True))
    region = 2 * rows.long()[:, None] + columns.long()[None, :]
    parts = window_partition(region[None, :, :, None], window).flatten(1)
    return parts[:, :, None] == parts[:, None, :]
