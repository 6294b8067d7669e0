"""Swin on visible tokens."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any, cast

import timm
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from timm.models.swin_transformer import (
    PatchMerging,
    SwinTransformer,
    SwinTransformerBlock,
    SwinTransformerStage,
    WindowAttention,
)
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mimbench.core import Grid, Mask, Tap, Tokens, initialize
from mimbench.encoders.base import Encoder, replace_hidden
from mimbench.encoders.patches import embed_visible
from mimbench.encoders.windows import Packing, Stage, plan_stage, visible_index


class SwinEncoder(Encoder):
    """Runs a timm Swin on visible tokens; the mask must be shared by the batch.

    A unit is a stage together with the patch merging that follows it, so depth t already has the resolution of
    stage t + 1; the last two depths have equal resolution. Attention equals that of timm's dense Swin with the hidden
    tokens masked out. Without a mask, the modules of timm's Swin run unchanged.

    Args:
        trunk: The timm model.
        released_quirks: Whether to reproduce two quirks of LocalMIM's released pre-training. From the second stage on,
            tokens are ordered by mask cell while their coordinates are read in raster order, and merging concatenates
            neighbors row by row where Swin does so column by column. Without a mask nothing changes, as in the
            released fine-tuning. A third quirk, 37 of 49 hidden cells, needs no option: every masker hides that many
            at a ratio of 0.75.

    Raises:
        ValueError: The trunk is not a Swin, accepts several image sizes, or merges a grid of odd size.
    """

    trunk: SwinTransformer

    def __init__(self, trunk: nn.Module, released_quirks: bool = False):
        super().__init__()
        if not isinstance(trunk, SwinTransformer):
            raise ValueError(f"SwinEncoder runs timm's SwinTransformer, got {type(trunk).__name__}.")
        stem = trunk.patch_embed
        if not stem.strict_img_size:
            raise ValueError("SwinEncoder works at one image size; build the trunk with strict_img_size=True.")
        patch = cast("Grid", stem.patch_size)[0]
        for side in cast("Grid", stem.img_size):
            _check_image(side, patch, len(trunk.layers))
        self.trunk = trunk
        self.released_quirks = released_quirks
        self.grad_checkpointing = False
        taps = [
            Tap(_blocks(stage)[0].dim, cast("Grid", stage.output_resolution), patch * 2**i)
            for i, stage in enumerate(self.stages)
        ]
        self.taps = (*taps, taps[-1])

    @property
    def stages(self) -> list[SwinTransformerStage]:
        """The trunk's stages; in timm, a stage begins with the patch merging after the previous one."""
        return cast("list[SwinTransformerStage]", list(self.trunk.layers))

    def forward(
        self,
        images: Float[Tensor, "b c h w"],
        depths: Collection[int],
        mask: Mask | None = None,
        mask_token: Float[Tensor, "1 1 d"] | None = None,
        normed: bool = True,
    ) -> dict[int, Tokens]:
        plan: Sequence[Stage | None] = [None] * (self.depth + 1)
        if mask is None or mask_token is not None:
            x = self.trunk.patch_embed(images)
            if mask is not None and mask_token is not None:
                x = replace_hidden(x.flatten(1, 2), mask, self.taps[0].grid, mask_token).unflatten(1, x.shape[1:3])
        else:
            plan = self._plan(mask, images.device)
            x = embed_visible(self.trunk.patch_embed, images, plan[0].index.expand(len(images), -1))
        out = {0: self._tokens(x, 0, plan[0])} if 0 in depths else {}
        for depth, stage in enumerate(self.stages, start=1):
            if depth > max(depths):
                break
            for block in _blocks(stage):
                x = self._block(block, x, plan[depth - 1])
            if depth < self.depth:
                x = _merge(self.stages[depth].downsample, x, plan[depth])
            if depth in depths:
                last = normed and depth == self.depth
                out[depth] = self._tokens(self.trunk.norm(x) if last else x, depth, plan[depth])
        return out

    def _plan(self, mask: Mask, device: torch.device) -> list[Stage]:
        """Plans of all depths, computed on the CPU after one synchronization for the mask."""
        if not mask.shared:
            raise ValueError("SwinEncoder packs windows once per batch; use a masker with shared=True.")
        if mask.hidden.shape[1:] != self.mask_grid:
            raise ValueError(
                f"A Swin's mask must have the grid of its last stage, {self.mask_grid}, got "
                f"{tuple(mask.hidden.shape[1:])}; draw the mask on encoder.mask_grid."
            )
        stages: list[Stage] = []
        with torch.device("cpu"):
            visible = _visible(mask)
            for i, layer in enumerate(self.stages):
                grid = self.taps[i].grid
                window_index, index = visible_index(visible, grid, by_cell=self.released_quirks and i > 0)
                windows = [(block.window_size, block.shift_size) for block in _blocks(layer)]
                finer = (stages[-1].index, self.taps[i - 1].grid) if stages else None
                stages.append(plan_stage(window_index, index, grid, windows, finer, row_first=self.released_quirks))
        return [stage.to(device) for stage in (*stages, stages[-1])]

    def _block(self, block: SwinTransformerBlock, x: Tensor, stage: Stage | None) -> Tensor:
        run = block
        if stage is not None:
            run = partial(_sparse_block, block, packing=stage.packings[block.window_size, block.shift_size])
        if self.grad_checkpointing and self.training:
            return checkpoint(run, x, use_reentrant=False)
        return run(x)

    def _tokens(self, x: Tensor, depth: int, stage: Stage | None) -> Tokens:
        grid = self.taps[depth].grid
        if stage is None:
            x = x.flatten(1, 2)
        index = torch.arange(grid[0] * grid[1], device=x.device) if stage is None else stage.index
        return Tokens(x, x[:, :0], index.expand(len(x), -1), grid)


def _visible(mask: Mask) -> Bool[Tensor, "h w"]:
    if mask.hidden.is_meta:
        # Meta tensors have no values; any mask of this size gives the same shapes. This one is evenly spaced.
        cells = mask.hidden[0].numel()
        return (torch.arange(cells + 1) * mask.num_visible // cells).diff().bool().reshape(mask.hidden.shape[1:])
    return ~mask.hidden[0].cpu()


def _blocks(stage: SwinTransformerStage) -> list[SwinTransformerBlock]:
    return cast("list[SwinTransformerBlock]", list(stage.blocks))


def _sparse_block(block: SwinTransformerBlock, x: Float[Tensor, "b v d"], packing: Packing) -> Float[Tensor, "b v d"]:
    x = x + block.drop_path1(_attention(block.attn, block.norm1(x), packing))
    return x + block.drop_path2(block.mlp(block.norm2(x)))


def _attention(attn: WindowAttention, x: Float[Tensor, "b v d"], packing: Packing) -> Float[Tensor, "b v d"]:
    g, s = packing.gather.shape
    x = F.pad(x, (0, 0, 0, 1)).index_select(1, packing.gather.flatten())
    qkv = attn.qkv(x).unflatten(2, (3, attn.num_heads, -1)).unflatten(1, (g, s))
    q, k, v = qkv.permute(3, 0, 1, 4, 2, 5).flatten(2, 3)
    bias = attn.relative_position_bias_table[packing.bias_index]
    bias = bias.masked_fill(~packing.may_attend[..., None], float("-inf"))
    bias = bias.permute(0, 3, 1, 2).flatten(0, 1)[None].to(q.dtype)
    drop = attn.attn_drop.p if attn.training else 0.0
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=drop, scale=attn.scale)
    y = y.unflatten(1, (g, -1)).transpose(2, 3).flatten(3).flatten(1, 2)
    return attn.proj_drop(attn.proj(y.index_select(1, packing.scatter)))


def _merge(merging: nn.Module, x: Tensor, stage: Stage | None) -> Tensor:
    if stage is None:
        return merging(x)
    assert stage.children is not None
    assert isinstance(merging, PatchMerging)
    children = x.index_select(1, stage.children.flatten()).unflatten(1, stage.children.shape)
    return merging.reduction(merging.norm(children.flatten(2)))


def swin(
    image_size: int,
    width: int,
    depths: Sequence[int],
    num_heads: Sequence[int],
    window: int = 7,
    patch_size: int = 4,
    mlp_ratio: float = 4.0,
    in_channels: int = 3,
    released_quirks: bool = False,
    norm_eps: float = 1e-6,
) -> SwinEncoder:
    """A Swin of any size as LocalMIM builds it: no drop path, windows no larger than their grid.

    Linear weights are initialized as in the ViTs; relative-position biases follow a truncated normal distribution with
    standard deviation 0.02, as in timm.

    Args:
        width: Channels of the first stage; every patch merging doubles them.
        depths: Blocks of every stage.
        num_heads: Attention heads of every stage.
        window: Side of a window in tokens.
        norm_eps: Of all LayerNorms; not part of a state dict. LocalMIM's pre-training has 1e-6; timm's models, SimMIM
            and LocalMIM's fine-tuning have 1e-5.

    Raises:
        ValueError: The image cannot be halved that often, the heads do not divide a stage's width, or `depths` and
            `num_heads` differ in length.
    """
    if len(depths) != len(num_heads):
        raise ValueError(
            f"A Swin needs num_heads for every stage, got depths {list(depths)} and num_heads {list(num_heads)}."
        )
    _check_image(image_size, patch_size, len(depths))
    for stage, heads in enumerate(num_heads):
        if width * 2**stage % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width * 2**stage}; change encoder.num_heads.")
    norm: Any = partial(nn.LayerNorm, eps=norm_eps)
    trunk = SwinTransformer(
        img_size=image_size,
        patch_size=patch_size,
        in_chans=in_channels,
        embed_dim=width,
        depths=tuple(depths),
        num_heads=tuple(num_heads),
        window_size=window,
        mlp_ratio=mlp_ratio,
        drop_path_rate=0.0,
        norm_layer=norm,
        num_classes=0,
        weight_init="skip",
    )
    initialize(trunk)
    return SwinEncoder(trunk, released_quirks)


def timm_swin(model_name: str, image_size: int, window: int | None = None, pretrained: bool = False) -> SwinEncoder:
    """Any SwinTransformer of timm by name, with timm's initial weights and norms, without drop path.

    Raises:
        ValueError: The image cannot be halved that often, or the name is not a Swin of timm.
    """
    if not timm.is_model(model_name) or not model_name.startswith("swin_"):
        raise ValueError(f"'{model_name}' is not a Swin of timm; choose from {', '.join(timm.list_models('swin_*'))}.")
    extra: dict[str, Any] = {} if window is None else {"window_size": window}
    trunk = timm.create_model(
        model_name, pretrained=pretrained, img_size=image_size, num_classes=0, drop_path_rate=0.0, **extra
    )
    return SwinEncoder(trunk)


def _check_image(image_size: int, patch_size: int, num_stages: int) -> None:
    cell = patch_size * 2 ** (num_stages - 1)
    if image_size % cell:
        nearest = max(1, round(image_size / cell)) * cell
        raise ValueError(
            f"A Swin of {num_stages} stages with patches of {patch_size} px needs an image size that is a multiple of "
            f"{cell} px, got {image_size} px; use for example data.image_size={nearest}."
        )
