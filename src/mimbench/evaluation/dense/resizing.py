"""Encoders on images of any size and aspect ratio, with padding."""

from collections.abc import Callable, Collection
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from timm.layers import resample_abs_pos_embed
from timm.models.swin_transformer import SwinTransformerBlock
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mimbench.core import Grid
from mimbench.encoders import Encoder, SwinEncoder, ViTEncoder
from mimbench.evaluation.dense.shifted_windows import dense_block

# (number of the block from 0, block, sequence "b s d" with the prefix in front, grid, hidden "b s" or None) -> "b s d"
RunBlock = Callable[[int, nn.Module, Tensor, Grid, Tensor | None], Tensor]


class AnySize(nn.Module):
    """Runs the trunk of an encoder on images of other sizes than it was made for.

    A ViT's positions are interpolated as in timm (bicubic, antialiased); a Swin has windows instead. At the size it
    was made for, features are those of the encoder, bit for bit. Depth t is behind block t of a ViT; of a Swin behind
    stage t, before the merging that its encoder counts to it, so that strides are 4, 8, 16 and 32.

    Args:
        run: Stands in for `run_block`, such as attention in windows; a Swin's are its own.
        checkpointing: Recomputes activations in the backward pass.

    Raises:
        ValueError: The encoder is of a family nobody has taught this, or `run` is given for a Swin.
    """

    def __init__(self, encoder: Encoder, run: RunBlock | None = None, checkpointing: bool = False):
        super().__init__()
        if not isinstance(encoder, ViTEncoder | SwinEncoder):
            raise ValueError(
                f"Dense features come from a ViT or a Swin, not from {type(encoder).__name__}; use another encoder, or "
                "leave out segmentation and detection."
            )
        if run is not None and isinstance(encoder, SwinEncoder):
            raise ValueError("A Swin has windows of its own; leave out those for a ViT.")
        self.encoder, self.run, self.checkpointing = encoder, run or run_block, checkpointing
        taps = encoder.taps
        behind = taps[1:] if isinstance(encoder, ViTEncoder) else taps[:-1]
        self.cells = {0: taps[0].cell} | {depth: tap.cell for depth, tap in enumerate(behind, start=1)}
        self.widths = {0: taps[0].width} | {depth: tap.width for depth, tap in enumerate(behind, start=1)}

    @property
    def trunk(self) -> nn.Module:
        return self.encoder.trunk

    @property
    def depth(self) -> int:
        return self.encoder.depth

    @property
    def multiple(self) -> int:
        """Sides of images are padded to a multiple of this."""
        return max(self.cells.values())

    def forward(
        self,
        images: Float[Tensor, "b 3 h w"],
        depths: Collection[int],
        sizes: Int[Tensor, "b 2"] | None = None,
        normed: bool = True,
    ) -> dict[int, Float[Tensor, "b _ _ _"]]:
        """Features "b d rows columns" at `depths`.

        Args:
            sizes: Height and width of every image where some were padded, at the bottom and to the right; no token
                attends to one that lies in padding alone, and those are 0.
            normed: Whether the trunk's final norm is applied, at the last depth.
        """
        height, width = images.shape[-2:]
        more = -height % self.multiple, -width % self.multiple
        if any(more):
            if sizes is None:
                sizes = torch.tensor([[height, width]], device=images.device).expand(len(images), -1)
            images = F.pad(images, (0, more[1], 0, more[0]))
        stem = cast("VisionTransformer", self.trunk).patch_embed
        x = stem.norm(stem.proj(images).permute(0, 2, 3, 1))  # rows and columns first, channels last
        walk = self._vit if isinstance(self.encoder, ViTEncoder) else self._swin
        found = walk(x, set(depths), sizes, normed)
        return {depth: self._blank(depth, y, sizes).permute(0, 3, 1, 2) for depth, y in found.items()}

    def _vit(self, x: Tensor, depths: set[int], sizes: Tensor | None, normed: bool) -> dict[int, Tensor]:
        trunk, tap = cast("VisionTransformer", self.trunk), self.encoder.taps[0]
        grid: Grid = (x.shape[1], x.shape[2])
        sequence = embed(trunk, x.flatten(1, 2), grid, tap.grid)
        hidden = None
        if sizes is not None:
            hidden = F.pad(~inside(sizes, grid, tap.cell).flatten(1), (tap.prefix, 0))
        found = {0: sequence} if 0 in depths else {}
        for number, block in enumerate(trunk.blocks):
            if number >= max(depths):
                break
            sequence = self._step(partial(self.run, number, block, grid=grid, hidden=hidden), sequence)
            if number + 1 in depths:
                last = normed and number + 1 == self.depth
                found[number + 1] = trunk.norm(sequence) if last else sequence
        return {depth: y[:, tap.prefix :].unflatten(1, grid) for depth, y in found.items()}

    def _swin(self, x: Tensor, depths: set[int], sizes: Tensor | None, normed: bool) -> dict[int, Tensor]:
        encoder = cast("SwinEncoder", self.encoder)
        found = {0: x} if 0 in depths else {}
        for depth, stage in enumerate(encoder.stages, start=1):
            if depth > max(depths):
                break
            x = stage.downsample(x)  # of the stage before; the first has none
            grid = encoder.taps[depth - 1].grid
            shown = None if sizes is None else inside(sizes, (x.shape[1], x.shape[2]), self.cells[depth])
            for block in stage.blocks:
                own = cast("SwinTransformerBlock", block)
                x = self._step(partial(dense_block, own, trained=grid, shown=shown), x)
            if depth in depths:
                found[depth] = encoder.trunk.norm(x) if normed and depth == self.depth else x
        return found

    def _step(self, run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        if self.checkpointing and self.training:
            return cast("Tensor", checkpoint(run, x, use_reentrant=False))
        return run(x)

    def _blank(self, depth: int, x: Tensor, sizes: Tensor | None) -> Tensor:
        if sizes is None:
            return x
        return x * inside(sizes, (x.shape[1], x.shape[2]), self.cells[depth])[..., None]


def run_block(
    number: int,
    block: nn.Module,
    sequence: Float[Tensor, "b s d"],
    grid: Grid,
    hidden: Bool[Tensor, "b s"] | None,
) -> Float[Tensor, "b s d"]:
    """A ViT's block; nothing attends to what is hidden."""
    return block(sequence) if hidden is None else block(sequence, attn_mask=~hidden[:, None, None, :])


def inside(sizes: Int[Tensor, "b 2"], grid: Grid, cell: int) -> Bool[Tensor, "b h w"]:
    """Cells of a grid that show any of the image."""
    rows, columns = (torch.arange(n, device=sizes.device) * cell < sizes[:, i, None] for i, n in enumerate(grid))
    return rows[:, :, None] & columns[:, None, :]


def embed(
    trunk: VisionTransformer, patches: Float[Tensor, "b n d"], grid: Grid, trained: Grid
) -> Float[Tensor, "b s d"]:
    """Prefix and patches with positions that were interpolated from one grid to another."""
    learned: list[Tensor] = [token for token in (trunk.cls_token, trunk.reg_token) if token is not None]
    prefix = torch.cat(learned, dim=1) if learned else patches.new_zeros(1, 0, patches.shape[2])
    if trunk.pos_embed is not None:
        covered = 0 if trunk.no_embed_class else prefix.shape[1]
        positions = resample_abs_pos_embed(trunk.pos_embed, list(grid), list(trained), num_prefix_tokens=covered)
        prefix = prefix + positions[:, :covered] if covered else prefix
        patches = patches + positions[:, covered:]
    return trunk.norm_pre(trunk.pos_drop(torch.cat([prefix.expand(len(patches), -1, -1), patches], dim=1)))
