"""Builds models from the architecture of a file of weights."""

from functools import partial
from typing import Any, cast

import torch
from jaxtyping import Float
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from mimbench.encoders import Encoder, ViTEncoder, beit, swin, vit
from mimbench.maskers import MultiBlockMasker, RandomMasker
from mimbench.methods import IJEPA, MAE, MFF, MIRL, CrossMAE, DeepMIM, LocalMIM, Method, SimMIM
from mimbench.targets import HOGTarget, LatentTarget, Target
from mimbench.weights.architecture import Architecture, Branches


class Pretrained(nn.Module):
    """An encoder without a method; parameters have the names that they have in a method."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder


class UnknownTarget(Target):
    """Placeholder for a target that a file of weights does not show; it has a size but no values."""

    def __init__(self, cell: int, dim: int):
        super().__init__()
        self.cell = cell
        self.dim = dim

    def values(self, prepared: Tensor) -> Float[Tensor, "b n d"]:
        raise ValueError(
            "Imported weights do not contain their target; load method.safetensors into a method that has one."
        )


def build(architecture: Architecture, released_quirks: bool = False) -> nn.Module:
    """Builds a method, an encoder (`Pretrained`) or a classifier of timm with initial weights.

    The state of PyTorch's default generator is restored.

    Args:
        architecture: A result of `Architecture.completed`.
        released_quirks: Whether a Swin computes the same as in LocalMIM's released code.

    Raises:
        ValueError: The parts do not fit together.
    """
    with torch.random.fork_rng(devices=[]):
        if architecture.classifier:
            return _swin_classifier(architecture) if architecture.family == "swin" else _timm_vit(architecture)
        encoder = _encoder(architecture, released_quirks)
        if architecture.branches is None:
            return Pretrained(encoder)
        return _method(encoder, architecture.branches, shared=architecture.family == "swin")


def trunk_prefix(module: nn.Module) -> str:
    """Prefix of the parameters of the timm model in a module made by `build`."""
    return "" if isinstance(module, (VisionTransformer, SwinTransformer)) else "encoder.trunk."


def _encoder(a: Architecture, released_quirks: bool) -> Encoder:
    assert a.image_size is not None
    assert a.num_heads is not None
    if a.family == "swin":
        assert a.window is not None
        sizes = (a.image_size, a.width, a.num_blocks, a.num_heads, a.window, a.patch_size, a.mlp_ratio, a.in_channels)
        return swin(*sizes, released_quirks=released_quirks, norm_eps=a.norm_eps)
    if a.family == "beit":
        (depth,), (heads,) = a.num_blocks, a.num_heads
        scale = a.timm.get("init_values", 0.1)
        return beit(a.image_size, a.patch_size, a.width, depth, heads, a.mlp_ratio, scale, a.in_channels)
    if a.timm and a.timm != {"class_token": False}:
        return ViTEncoder(_timm_vit(a))
    (depth,), (heads,) = a.num_blocks, a.num_heads
    sizes = (a.image_size, a.patch_size, a.width, depth, heads, a.mlp_ratio, a.num_registers, a.in_channels)
    return vit(*sizes, class_token=not a.timm)


def timm_arguments(a: Architecture) -> dict[str, Any]:
    """Arguments of timm's SwinTransformer or VisionTransformer for a completed architecture."""
    assert a.num_heads is not None
    shared = {
        "img_size": a.image_size or 224,
        "patch_size": a.patch_size,
        "in_chans": a.in_channels,
        "embed_dim": a.width,
    }
    last = {"mlp_ratio": a.mlp_ratio, "num_classes": a.num_classes}
    if a.family == "swin":
        return shared | {"depths": a.num_blocks, "num_heads": a.num_heads, "window_size": a.window} | last
    blocks = {"depth": a.num_blocks[0], "num_heads": a.num_heads[0], "reg_tokens": a.num_registers}
    return shared | blocks | last | {"global_pool": a.global_pool, "fc_norm": False} | a.timm


def _timm_vit(a: Architecture) -> VisionTransformer:
    return VisionTransformer(**timm_arguments(a), weight_init="skip")


def _swin_classifier(a: Architecture) -> SwinTransformer:
    norm = cast("Any", partial(nn.LayerNorm, eps=1e-6))
    return SwinTransformer(**timm_arguments(a), drop_path_rate=0.0, norm_layer=norm, weight_init="skip")


def _method(encoder: Encoder, branches: Branches, shared: bool) -> Method:
    assert branches.num_heads is not None
    masker = RandomMasker(0.75, shared=shared)
    sizes: dict[str, Any] = {"dim": branches.dim, "num_blocks": branches.num_blocks, "num_heads": branches.num_heads}
    sizes["mlp_ratio"] = branches.mlp_ratio
    target = partial(UnknownTarget, dim=branches.target_dim)
    if branches.method == "mae":
        return MAE(encoder, masker, target, **sizes)
    if branches.method == "mirl":
        return MIRL(encoder, masker, target, branches.depths, unit_head=branches.unit_head, **sizes)
    if branches.method == "ijepa":
        return IJEPA(encoder, MultiBlockMasker(), LatentTarget, **sizes)
    if branches.method == "simmim":
        return SimMIM(encoder, RandomMasker(0.6), target)
    if branches.method == "mff":
        return MFF(encoder, masker, target, branches.depths, **sizes)
    if branches.method == "crossmae":
        options = {"mixture": branches.mixture, "self_attention": branches.self_attention}
        return CrossMAE(encoder, masker, target, branches.depths, **sizes, **options)
    if branches.method == "deepmim":
        return DeepMIM(encoder, masker, target, branches.depths, **sizes)
    return LocalMIM(encoder, masker, _localmim_target(branches, encoder), branches.depths, **sizes)


def _localmim_target(branches: Branches, encoder: Encoder) -> Any:
    channels = cast("nn.Conv2d", encoder.get_submodule("trunk.patch_embed.proj")).in_channels
    if branches.bins is not None:
        return partial(HOGTarget, bins=branches.bins, bias=branches.bias, channels=channels)
    return lambda cell: UnknownTarget(cell, channels * cell * cell)
