"""Classifiers from pre-trained trunks, with the parameter names of timm and the released fine-tuning code."""

import copy
from collections.abc import Iterator
from typing import cast

import torch
from timm.layers import DropPath, calculate_drop_path_rates
from timm.models.beit import Attention, Beit
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from mimbench.encoders import Encoder

HEAD_STD = 2e-5


def classifier(
    encoder: Encoder,
    num_classes: int,
    pooling: str = "avg",
    drop_path: float = 0.0,
    train_positions: bool = True,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Turns the encoder's trunk into a classifier that maps images "b c h w" to logits "b num_classes".

    ViT with pooling "avg": the mean of the patch tokens of the last block, followed by a new norm that replaces the
    pre-trained one; with "token": the class token after the pre-trained norm. Swin: the mean after its norm. The
    weights of the head are drawn from a truncated normal distribution with standard deviation 2e-5 and its bias is 0,
    as in MAE's released code, so that the first gradients of the trunk are small.

    Args:
        encoder: Its trunk is changed in place and returned.
        drop_path: Rate of the last block; see `FineTuneRecipe`.
        generator: Draws the weights of the head; by default PyTorch's default generator.

    Raises:
        ValueError: The trunk has no class token but `pooling` is "token", or it is neither a ViT nor a Swin.
    """
    trunk = encoder.trunk
    trunk.requires_grad_(True)
    if isinstance(trunk, VisionTransformer | Beit):
        _pool_vit(trunk, pooling)
        if isinstance(trunk, Beit):
            _separate_biases(trunk)
    elif not isinstance(trunk, SwinTransformer):
        raise ValueError(f"Fine-tuning needs timm's VisionTransformer or SwinTransformer, not {type(trunk).__name__}.")
    elif pooling != "avg":
        raise ValueError("Swin has no class token; use finetune.pooling=avg.")
    trunk.reset_classifier(num_classes, pooling)
    head = trunk.get_classifier()
    assert isinstance(head, nn.Linear)
    nn.init.trunc_normal_(head.weight, std=HEAD_STD, generator=generator)
    nn.init.zeros_(head.bias)
    set_drop_path(trunk, drop_path)
    if (positions := getattr(trunk, "pos_embed", None)) is not None:
        positions.requires_grad_(train_positions)
    return trunk


def named_blocks(trunk: nn.Module) -> list[tuple[str, nn.Module]]:
    """Names and blocks of a ViT or of all stages of a Swin, from input to output."""
    stages = getattr(trunk, "layers", None)
    if stages is None:
        return [(f"blocks.{i}", block) for i, block in enumerate(_children(trunk.get_submodule("blocks")))]
    return [
        (f"layers.{stage}.blocks.{i}", block)
        for stage, layer in enumerate(stages)
        for i, block in enumerate(_children(layer.blocks))
    ]


def set_drop_path(trunk: nn.Module, rate: float) -> None:
    """Sets drop path rates that rise linearly from 0 in the first block to `rate` in the last, as in timm."""
    blocks = named_blocks(trunk)
    shares = cast("list[float]", calculate_drop_path_rates(rate, len(blocks)))
    for (_, block), share in zip(blocks, shares, strict=True):
        for name in [name for name, _ in block.named_children() if name.startswith("drop_path")]:
            setattr(block, name, DropPath(share) if share else nn.Identity())


def _separate_biases(trunk: Beit) -> None:
    """Gives every block a copy of the shared relative position bias (SimMIM, released fine-tuning)."""
    if (shared := trunk.rel_pos_bias) is None:
        return
    for block in _children(trunk.blocks):
        attention = cast("Attention", block.get_submodule("attn"))
        attention.window_size = shared.window_size
        attention.relative_position_bias_table = nn.Parameter(shared.relative_position_bias_table.detach().clone())
        del attention.relative_position_index
        attention.register_buffer(
            "relative_position_index", shared.get_buffer("relative_position_index"), persistent=False
        )
    trunk.rel_pos_bias = None


def _pool_vit(trunk: VisionTransformer | Beit, pooling: str) -> None:
    if pooling == "token" and trunk.cls_token is None:
        raise ValueError("This encoder has no class token; use finetune.pooling=avg.")
    if pooling == "avg":
        norm = trunk.norm if isinstance(trunk.norm, nn.LayerNorm) else trunk.fc_norm
        trunk.fc_norm = copy.deepcopy(norm) if isinstance(norm, nn.LayerNorm) else nn.LayerNorm(trunk.embed_dim, 1e-6)
        trunk.fc_norm.reset_parameters()
        trunk.norm = nn.Identity()
    else:
        trunk.fc_norm = nn.Identity()


def _children(module: nn.Module) -> Iterator[nn.Module]:
    return module.children()
