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

RunBlock = Callable[[int, nn.Module, Tensor, Grid, Tensor | None], Tensor]
"""Maps (block number from 0, block, sequence "b s d" with prefix tokens first, grid of the patches, hidden tokens "b s"
or None) to the output sequence "b s d"."""


class AnySize(nn.Module):
    """Runs the trunk of an encoder on images of any size.

    Position embeddings of a ViT are interpolated as in timm (bicubic, antialiased); Swin has none. At the image size of
    the encoder, the features equal those of the encoder bit for bit. Depth t is the output of block t of a ViT, and of
    stage t of a Swin before patch merging, which the Swin encoder includes in the stage; strides are then 4, 8, 16, 32.

    Args:
        run: Runs a block of a ViT, by default `run_block`; for example attention in windows.
        checkpointing: Whether the backward pass computes activations again.

    Raises:
        ValueError: The encoder is neither a ViT nor a Swin, or `run` is given for a Swin.
    """

    def __init__(self, encoder: Encoder, run: RunBlock | None = None, checkpointing: bool = False):
        super().__init__()
        if not isinstance(encoder, ViTEncoder | SwinEncoder):
            raise ValueError(
                f"Segmentation and detection need a ViT or a Swin, not {type(encoder).__name__}; use "
                "another encoder or other protocols."
            )
        if run is not None and isinstance(encoder, SwinEncoder):
            raise ValueError("Swin has its own windows; leave out the window options, which are for a ViT.")
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
        """Height and width of images are padded to a multiple of this, in pixels."""
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
            sizes: Height and width of every image in pixels if some are padded at the bottom and on the right. Tokens
                that contain only padding are not attended to and are 0 in the result.
            normed: Whether the trunk's final norm is applied at the last depth.
        """
        height, width = images.shape[-2:]
        more = -height % self.multiple, -width % self.multiple
        if any(more):
            if sizes is None:
                sizes = torch.tensor([[height, width]], device=images.device).expand(len(images), -1)
            images = F.pad(images, (0, more[1], 0, more[0]))
        stem = cast("VisionTransformer", self.trunk).patch_embed
        x = stem.norm(stem.proj(images).permute(0, 2, 3, 1))  # "b rows columns d"
        run = self._vit if isinstance(self.encoder, ViTEncoder) else self._swin
        found = run(x, set(depths), sizes, normed)
        return {depth: self._zero_padding(depth, y, sizes).permute(0, 3, 1, 2) for depth, y in found.items()}

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
            x = stage.downsample(x)  # merges the patches of the previous stage; an identity in the first stage
            grid = encoder.taps[depth - 1].grid
            shown = None if sizes is None else inside(sizes, (x.shape[1], x.shape[2]), self.cells[depth])
            for block in stage.blocks:
                swin_block = cast("SwinTransformerBlock", block)
                x = self._step(partial(dense_block, swin_block, trained=grid, shown=shown), x)
            if depth in depths:
                found[depth] = encoder.trunk.norm(x) if normed and depth == self.depth else x
        return found

    def _step(self, run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        if self.checkpointing and self.training:
            return cast("Tensor", checkpoint(run, x, use_reentrant=False))
        return run(x)

    def _zero_padding(self, depth: int, x: Tensor, sizes: Tensor | None) -> Tensor:
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
    """Runs a block of a ViT; no token attends to hidden tokens."""
    return block(sequence) if hidden is None else block(sequence, attn_mask=~hidden[:, None, None, :])


def inside(sizes: Int[Tensor, "b 2"], grid: Grid, cell: int) -> Bool[Tensor, "b h w"]:
    """Marks the cells of a grid that contain part of the image; `cell` is their side in pixels."""
    rows, columns = (torch.arange(n, device=sizes.device) * cell < sizes[:, i, None] for i, n in enumerate(grid))
    return rows[:, :, None] & columns[:, None, :]


def embed(
    trunk: VisionTransformer, patches: Float[Tensor, "b n d"], grid: Grid, trained: Grid
) -> Float[Tensor, "b s d"]:
    """Adds prefix tokens and position embeddings, interpolated from the grid `trained` to `grid`."""
    learned: list[Tensor] = [token for token in (trunk.cls_token, trunk.reg_token) if token is not None]
    prefix = torch.cat(learned, dim=1) if learned else patches.new_zeros(1, 0, patches.shape[2])
    if trunk.pos_embed is not None:
        covered = 0 if trunk.no_embed_class else prefix.shape[1]
        positions = resample_abs_pos_embed(trunk.pos_embed, list(grid), list(trained), num_prefix_tokens=covered)
        prefix = prefix + positions[:, :covered] if covered else prefix
        patches = patches + positions[:, covered:]
    return trunk.norm_pre(trunk.pos_drop(torch.cat([prefix.expand(len(patches), -1, -1), patches], dim=1)))
