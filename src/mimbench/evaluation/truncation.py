"""Encoders without their last units, or with these initialized again: which blocks carry the features? (MIRL)"""

import copy

import torch
from timm.layers import LayerScale
from torch import nn

from mimbench.core import generator, initialize
from mimbench.encoders import BeitEncoder, Encoder, SwinEncoder, ViTEncoder


def drop(encoder: Encoder, k: int) -> Encoder:
    """A copy without the last k units, which are blocks of a ViT or stages of a Swin.

    A ViT keeps its final norm after the last remaining block. That of a Swin has another width and is replaced by a new
    one with scale 1 and bias 0.

    Raises:
        ValueError: No unit would be left, or k is below 1.
    """
    _check(encoder, k)
    trunk = copy.deepcopy(encoder.trunk)
    if isinstance(encoder, ViTEncoder | BeitEncoder):
        trunk.blocks = trunk.blocks[:-k]  # pyright: ignore[reportIndexIssue,reportArgumentType]
        return type(encoder)(trunk)  # pyright: ignore[reportArgumentType]
    if isinstance(encoder, SwinEncoder):
        trunk.layers = trunk.layers[:-k]  # pyright: ignore[reportIndexIssue,reportArgumentType]
        old = trunk.norm
        assert isinstance(old, nn.LayerNorm)
        trunk.norm = nn.LayerNorm(encoder.taps[encoder.depth - k - 1].width, eps=old.eps).to(old.weight)
        return SwinEncoder(trunk, encoder.released_quirks)
    raise ValueError(f"Only units of ViT and Swin can be dropped, not those of {type(encoder).__name__}.")


def reinitialize(encoder: Encoder, k: int, seed: int = 0) -> Encoder:
    """A copy with the last k units initialized as before pre-training; the final norm is unchanged.

    Raises:
        ValueError: No unit would stay unchanged, or k is below 1.
    """
    _check(encoder, k)
    encoder = copy.deepcopy(encoder)
    units = encoder.trunk.blocks if isinstance(encoder, ViTEncoder | BeitEncoder) else encoder.trunk.layers
    for unit in list(units)[-k:]:  # pyright: ignore[reportArgumentType]
        _initialize(unit, generator(seed, encoder.depth, k))
    return encoder


@torch.no_grad()
def _initialize(unit: nn.Module, draws: torch.Generator) -> None:
    device = next(unit.parameters()).device
    unit.cpu()  # for the same weights on every device
    initialize(unit, draws)
    for name, parameter in unit.named_parameters():
        if name.endswith("relative_position_bias_table"):
            nn.init.trunc_normal_(parameter, std=0.02, generator=draws)
    for module in unit.modules():
        if isinstance(module, LayerScale):
            nn.init.constant_(module.gamma, module.init_values)
    unit.to(device)


def _check(encoder: Encoder, k: int) -> None:
    if not 1 <= k < encoder.depth:
        unit = "blocks" if isinstance(encoder, ViTEncoder | BeitEncoder) else "stages"
        raise ValueError(
            f"The encoder has {encoder.depth} {unit}; expected a number from 1 to {encoder.depth - 1}, got {k}."
        )
