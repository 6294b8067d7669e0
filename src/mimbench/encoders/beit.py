"""ViT with a shared relative position bias, layer scale and no absolute positions, as in BEiT."""

import math
from collections.abc import Collection
from functools import partial
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from timm.models.beit import Beit
from torch import Tensor, nn

from mimbench.core import Grid, Mask, Tap, Tokens
from mimbench.encoders.base import Encoder, run_blocks
from mimbench.encoders.patches import all_positions, embed_patches
from mimbench.encoders.vit import check_vit


class BeitEncoder(Encoder):
    """Runs a timm Beit on the visible patches only, or on all of them with mask tokens.

    Raises:
        ValueError: The trunk is no Beit, or its blocks have relative position biases of their own.
    """

    trunk: Beit

    def __init__(self, trunk: nn.Module):
        super().__init__()
        tables = [name for name, _ in trunk.named_parameters() if name.endswith("relative_position_bias_table")]
        if not isinstance(trunk, Beit) or any(name.startswith("blocks.") for name in tables):
            raise ValueError("BeitEncoder runs timm's Beit with a shared relative position bias, or with none.")
        self.trunk = trunk
        self.grad_checkpointing = False
        for unused in (trunk.fc_norm, trunk.head):
            unused.requires_grad_(False)
        stem = trunk.patch_embed
        tap = Tap(trunk.embed_dim, stem.grid_size, cast("Grid", stem.patch_size)[0], 1)
        self.taps = (tap,) * (len(trunk.blocks) + 1)

    def forward(
        self,
        images: Float[Tensor, "b c h w"],
        depths: Collection[int],
        mask: Mask | None = None,
        mask_token: Float[Tensor, "1 1 d"] | None = None,
        normed: bool = True,
    ) -> dict[int, Tokens]:
        trunk, grid = self.trunk, self.taps[0].grid
        patches, index = embed_patches(trunk.patch_embed, images, mask, mask_token, grid)
        places = all_positions(patches) if index is None else index
        prefix = trunk.cls_token.expand(len(images), -1, -1)
        if trunk.pos_embed is not None:
            prefix, positions = prefix + trunk.pos_embed[:, :1], trunk.pos_embed[:, 1:]
            patches = patches + (positions if index is None else positions[0, index])
        x = Tokens(patches, prefix, places, grid)
        x = x.with_sequence(trunk.pos_drop(x.sequence))
        bias, norm = self._bias(index), trunk.norm if normed else None
        blocks = [partial(block, shared_rel_pos_bias=bias) for block in trunk.blocks]
        return run_blocks(x, blocks, depths, norm, self.grad_checkpointing and self.training)

    def _bias(self, index: Int[Tensor, "b v"] | None) -> Float[Tensor, "*batch h s s"] | None:
        """The shared bias between all tokens, or between the class token and the patches at `index`."""
        if self.trunk.rel_pos_bias is None:
            return None
        bias: Tensor = self.trunk.rel_pos_bias()
        if index is None:
            return bias
        places = torch.cat([index.new_zeros(len(index), 1), index + 1], dim=1)
        return bias[:, places[:, :, None], places[:, None, :]].transpose(0, 1)


def beit(
    image_size: int,
    patch_size: int,
    width: int,
    depth: int,
    num_heads: int,
    mlp_ratio: float = 4.0,
    layer_scale: float | None = 0.1,
    in_channels: int = 3,
) -> BeitEncoder:
    """A ViT of any size as SimMIM builds it: shared relative position bias, layer scale, LayerNorm eps 1e-6.

    Weights are drawn from a normal distribution of deviation 0.02 that is cut at one deviation, and output layers of
    block i are divided by sqrt(2 i) (SimMIM, released code). There is no drop path, so that runs resume exactly.

    Args:
        layer_scale: Initial factor of every residual branch; None: no layer scale.

    Raises:
        ValueError: A size is not a positive whole number, the patches do not divide the image, or the heads do not
            divide the width.
    """
    check_vit(image_size, patch_size, width, depth, num_heads)
    norm: Any = partial(nn.LayerNorm, eps=1e-6)
    trunk = Beit(
        img_size=image_size,
        patch_size=patch_size,
        in_chans=in_channels,
        num_classes=0,
        global_pool="token",
        embed_dim=width,
        depth=depth,
        num_heads=num_heads,
        mlp_ratio=mlp_ratio,
        init_values=layer_scale,
        use_abs_pos_emb=False,
        use_shared_rel_pos_bias=True,
        norm_layer=norm,
    )
    _initialize(trunk)
    return BeitEncoder(trunk)


def _initialize(trunk: Beit) -> None:
    for module in trunk.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.trunc_normal_(module.weight, std=0.02, a=-0.02, b=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    nn.init.trunc_normal_(trunk.cls_token, std=0.02, a=-0.02, b=0.02)
    with torch.no_grad():
        for number, block in enumerate(cast("Any", trunk.blocks), start=1):
            for output in (block.attn.proj, block.mlp.fc2):
                output.weight.div_(math.sqrt(2 * number))
