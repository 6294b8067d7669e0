"""Plain ViT on visible patches."""

from collections.abc import Collection
from typing import Any, cast

import timm
import torch
from jaxtyping import Float, Int
from timm.layers import PatchEmbed
from timm.models import is_model_in_modules
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from mimbench.core import Grid, Mask, Tap, Tokens, initialize, sincos_2d
from mimbench.encoders.base import Encoder, run_blocks
from mimbench.encoders.patches import all_positions, embed_patches


class ViTEncoder(Encoder):
    """Runs a timm ViT on the visible patches only.

    Raises:
        ValueError: The trunk has its own way of embedding positions, or accepts several image sizes.
    """

    trunk: VisionTransformer

    def __init__(self, trunk: VisionTransformer):
        super().__init__()
        kind = type(trunk).__name__
        if not isinstance(trunk, VisionTransformer) or type(trunk)._pos_embed is not VisionTransformer._pos_embed:
            raise ValueError(
                f"ViTEncoder needs timm's plain VisionTransformer; {kind} embeds positions in its own way."
            )
        if trunk.dynamic_img_size:
            raise ValueError("ViTEncoder works at one image size; build the trunk with dynamic_img_size=False.")
        self.trunk = trunk
        self.grad_checkpointing = False
        for unused in (trunk.attn_pool, trunk.fc_norm, trunk.head):
            # Not part of the features; trainable parameters without a gradient would stop distributed training.
            if unused is not None:
                unused.requires_grad_(False)
        stem = trunk.patch_embed
        tap = Tap(trunk.embed_dim, stem.grid_size, stem.patch_size[0], trunk.num_prefix_tokens)
        self.taps = (tap,) * (len(trunk.blocks) + 1)

    def forward(
        self,
        images: Float[Tensor, "b c h w"],
        depths: Collection[int],
        mask: Mask | None = None,
        mask_token: Float[Tensor, "1 1 d"] | None = None,
        normed: bool = True,
    ) -> dict[int, Tokens]:
        x = self._embed(images, mask, mask_token)
        norm = self.trunk.norm if normed else None
        return run_blocks(x, list(self.trunk.blocks), depths, norm, self.grad_checkpointing and self.training)

    def _embed(self, images: Tensor, mask: Mask | None, mask_token: Tensor | None) -> Tokens:
        trunk, tap = self.trunk, self.taps[0]
        patches, index = embed_patches(trunk.patch_embed, images, mask, mask_token, tap.grid)
        patches, prefix = _with_positions(trunk, patches, tap.prefix, index)
        index = all_positions(patches) if index is None else index
        tokens = Tokens(patches, prefix.expand(len(images), -1, -1), index, tap.grid)
        return tokens.with_sequence(trunk.norm_pre(trunk.pos_drop(tokens.sequence)))


def _with_positions(
    trunk: VisionTransformer, patches: Tensor, num_prefix: int, index: Int[Tensor, "b v"] | None
) -> tuple[Tensor, Tensor]:
    """Patches and prefix tokens plus timm's position embeddings, which may or may not cover the prefix."""
    learned: list[Tensor] = [token for token in (trunk.cls_token, trunk.reg_token) if token is not None]
    prefix = torch.cat(learned, dim=1) if learned else patches.new_zeros(1, 0, patches.shape[2])
    if trunk.pos_embed is None:
        return patches, prefix
    covered = 0 if trunk.no_embed_class else num_prefix
    if covered:
        prefix = prefix + trunk.pos_embed[:, :covered]
    positions = trunk.pos_embed[:, covered:]
    return patches + (positions if index is None else positions[0, index]), prefix


def vit(
    image_size: int,
    patch_size: int,
    width: int,
    depth: int,
    num_heads: int,
    mlp_ratio: float = 4.0,
    num_registers: int = 0,
    in_channels: int = 3,
    class_token: bool = True,
) -> ViTEncoder:
    """A ViT of any size as the papers build it: class token, frozen sine-cosine positions, LayerNorm eps 1e-6.

    Args:
        class_token: Whether there is one; I-JEPA has none.

    Raises:
        ValueError: A size is not a positive whole number, the patches do not divide the image, or the heads do not
            divide the width.

    Example:
        >>> import torch
        >>> encoder = vit(image_size=32, patch_size=8, width=48, depth=4, num_heads=4)
        >>> tokens = encoder(torch.zeros(2, 3, 32, 32), depths=[0, 4])
        >>> tokens[4].patches.shape, tokens[4].prefix.shape
        (torch.Size([2, 16, 48]), torch.Size([2, 1, 48]))
    """
    check_vit(image_size, patch_size, width, depth, num_heads)
    trunk = VisionTransformer(
        img_size=image_size,
        patch_size=patch_size,
        in_chans=in_channels,
        embed_dim=width,
        depth=depth,
        num_heads=num_heads,
        mlp_ratio=mlp_ratio,
        reg_tokens=num_registers,
        class_token=class_token,
        global_pool="token" if class_token else "avg",
        fc_norm=False,
        num_classes=0,
        weight_init="skip",
    )
    initialize(trunk)
    assert trunk.pos_embed is not None
    table = sincos_2d(width, trunk.patch_embed.grid_size, trunk.num_prefix_tokens)
    trunk.pos_embed = nn.Parameter(table, requires_grad=False)
    return ViTEncoder(trunk)


_PLAIN_VITS = ("vision_transformer", "deit")  # timm's modules of plain ViTs


def timm_vit(model_name: str, image_size: int, patch_size: int | None = None, pretrained: bool = False) -> ViTEncoder:
    """Any VisionTransformer of timm by name, with timm's initial weights, positions and norm.

    Raises:
        ValueError: The patches do not divide the image, or the name is not a plain ViT of timm.
    """
    if not timm.is_model(model_name):
        near = ", ".join(timm.list_models(f"{model_name[:8]}*")[:5]) or "see timm.list_models('vit_*')"
        raise ValueError(f"timm has no model '{model_name}'. Similar: {near}.")
    extra: dict[str, Any] = {"dynamic_img_size": False}
    if patch_size is not None:
        extra["patch_size"] = patch_size
    if not is_model_in_modules(model_name.split(".")[0], _PLAIN_VITS):
        raise ValueError(f"'{model_name}' is not a plain ViT; encoder=timm needs a VisionTransformer of timm.")
    trunk = timm.create_model(model_name, pretrained=pretrained, img_size=image_size, num_classes=0, **extra)
    if isinstance(stem := getattr(trunk, "patch_embed", None), PatchEmbed):
        check_patch(image_size, cast("Grid", stem.patch_size)[0])
    return ViTEncoder(cast("VisionTransformer", trunk))


def check_vit(image_size: int, patch_size: int, width: int, depth: int, num_heads: int) -> None:
    """Raises ValueError for sizes from which no ViT can be built."""
    check_sizes(patch_size=patch_size, width=width, depth=depth, num_heads=num_heads)
    check_patch(image_size, patch_size)
    if width % num_heads:
        raise ValueError(f"{num_heads} heads do not divide a width of {width}; choose another encoder.num_heads.")


def check_sizes(**sizes: Any) -> None:
    """Raises ValueError if a size of an encoder is not a positive whole number."""
    for name, value in sizes.items():
        if type(value) is not int or value < 1:
            raise ValueError(f"encoder.{name} is {value!r}; it must be a whole number of at least 1.")


def check_patch(image_size: int, patch_size: int) -> None:
    """Raises ValueError if patches do not divide an image."""
    if image_size % patch_size:
        divisors = [p for p in range(2, image_size) if image_size % p == 0]
        nearest = max(1, round(image_size / patch_size)) * patch_size
        raise ValueError(
            f"Patches of {patch_size} px do not divide an image of {image_size} px; "
            f"set encoder.patch_size to {f'one of {divisors}' if divisors else '1'}, or data.image_size={nearest}."
        )
