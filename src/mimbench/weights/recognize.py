"""Recognizes the format and architecture of a state dict from names and shapes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from mimbench.methods.deepmim import deepmim_depths
from mimbench.weights.architecture import Architecture, Branches
from mimbench.weights.formats.huggingface import from_transformers
from mimbench.weights.formats.mff import in_our_names
from mimbench.weights.trunks import beit, count, square, trunk

# Entries that only files of this format have; the first match decides.
_MARKS: tuple[tuple[str, str], ...] = (
    ("mimbench", r"encoder\.trunk\..+"),
    ("transformers-vitmae", r"(vit\.)?embeddings\.patch_embeddings\.projection\.weight"),
    ("ijepa", r"predictor\.predictor_embed\.weight"),
    ("simmim", r"encoder\.mask_token"),
    ("localmim-swin", r"encoder\.patch_embed\.proj\.weight"),
    ("localmim-vit", r"decoder\.0\.mask_token"),
    ("mirl", r"norm_low\.weight|mask_token0"),
    ("mff", r"backbone\.proj_weights"),
    ("crossmae", r"decoder_blocks\.0\.cross_attn\.q\.weight"),
    ("deepmim", r"decoder_pred1\.weight|mask_token1"),
    ("mae", r"decoder_pred\.weight|decoder_pos_embed"),
)

# The same for the methods of our checkpoints; the others are recognized by their decoders.
_OWN_MARKS = (
    ("ijepa", r"target\.encoder\.trunk\..+"),
    ("crossmae", r"decoder\.blocks\.0\.cross_attn\..+"),
    ("mff", r"fusion\.logits"),
)


@dataclass(frozen=True)
class Recognized:
    """A format and the architecture of its weights; heads and image size are None if shapes do not show them."""

    format: str
    architecture: Architecture


def recognize(state: Mapping[str, Tensor]) -> Recognized:
    """Format and architecture of a state dict.

    An encoder without decoders has the same names in MAE and timm and is recognized as timm, a classifier as fine-
    tuning of MAE. The depths of decoders are those of the released code, or empty if it does not define them.

    Raises:
        ValueError: The format is unknown, or entries that show the sizes are missing.
    """
    name = format_of(state)
    return Recognized(name, architecture_of(state, name))


def format_of(state: Mapping[str, Tensor]) -> str:
    """Name of the format.

    Raises:
        ValueError: The format is unknown.
    """
    for name, mark in _MARKS:
        if any(re.fullmatch(mark, entry) for entry in state):
            return name
    if "patch_embed.proj.weight" not in state:
        first = ", ".join(list(state)[:3])
        raise ValueError(f"The format of these weights is unknown; they begin with {first}.")
    if "layers.0.downsample.reduction.weight" in state:
        return "localmim-swin-finetune"  # in timm patch merging belongs to the following stage
    head = not {"head.weight", "fc_norm.weight"}.isdisjoint(state)
    if (qkv := state.get("blocks.0.attn.qkv.weight")) is not None and qkv.shape[0] < qkv.shape[1]:
        return "mirl-finetune" if head else "mirl"  # Paddle's layout, [in, out]
    return "mae-finetune" if head else "timm"


def architecture_of(state: Mapping[str, Tensor], name: str) -> Architecture:
    """The architecture of a state dict of a known format.

    Raises:
        ValueError: An entry that shows a size is missing or of an unexpected shape.
    """
    try:
        return _ARCHITECTURES[name](state)
    except (KeyError, IndexError, ZeroDivisionError) as error:
        raise ValueError(f"The {name} weights lack what tells their size: {error}.") from None


def method_of(state: Mapping[str, Tensor]) -> str | None:
    """The method of a checkpoint of mimbench; None for an encoder without decoders."""
    for method, mark in _OWN_MARKS:
        if any(re.fullmatch(mark, entry) for entry in state):
            return method
    decoders = count(state, "decoders.")
    if any(entry.startswith("stem.") for entry in state):
        return "mirl"
    if any(re.match(r"decoders\.\d+\.head\.layers\.", entry) for entry in state):
        return "localmim"
    return None if not decoders else "mae" if decoders == 1 else "deepmim"


def _of_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {entry.removeprefix(prefix): tensor for entry, tensor in state.items() if entry.startswith(prefix)}


def _decoders(state: Mapping[str, Tensor], method: str, stem: str, norm: str, out: str, **more: Any) -> Branches:
    """Sizes from the blocks whose names start with `stem`, a norm of the decoder and the bias of the head."""
    dim = state[norm].shape[0]
    ratio = state[f"{stem}0.mlp.fc1.bias"].shape[0] / dim
    return Branches(
        method, dim=dim, num_blocks=count(state, stem), mlp_ratio=ratio, target_dim=state[out].shape[0], **more
    )


def _mae(state: Mapping[str, Tensor]) -> Architecture:
    found = trunk(state)
    if "mask_token" not in state:
        return found
    names = ("decoder_blocks.", "decoder_norm.bias", "decoder_pred.bias")
    return replace(found, branches=_decoders(state, "mae", *names, depths=found.num_blocks))


def _deepmim(state: Mapping[str, Tensor]) -> Architecture:
    found = trunk(state)
    if "mask_token1" not in state:
        return found
    (depth,) = found.num_blocks
    # The released model reads 6, 8, 10 and the last depth: 10 twice if it is the last one, and with fewer
    # blocks it fails.
    depths = (6, 8, 10, depth) if depth > 10 else () if depth == 10 else deepmim_depths(depth)
    if len(depths) != sum(re.fullmatch(r"mask_token\d+", entry) is not None for entry in state):
        depths = ()
    names = ("decoder_blocks1.", "decoder_norm1.bias", "decoder_pred1.bias")
    return replace(found, branches=_decoders(state, "deepmim", *names, depths=depths))


def _mirl(state: Mapping[str, Tensor]) -> Architecture:
    found = trunk(state)
    segments = sum(re.fullmatch(r"mask_token\d+", entry) is not None for entry in state)
    if not segments:
        return found
    (depth,) = found.num_blocks
    # Equal segments, as in all recipes; shapes do not show their ends.
    depths = tuple(depth * k // segments for k in range(1, segments + 1)) if depth >= segments else ()
    names = ("decoder_blocks0.", "decoder_norm0.bias", "decoder_pred0.bias")
    unit = "decoder_pred0.weight_g" in state
    return replace(found, branches=_decoders(state, "mirl", *names, depths=depths, unit_head=unit))


def _localmim_vit(state: Mapping[str, Tensor]) -> Architecture:
    found = trunk(state)
    if "decoder.0.mask_token" not in state:
        return found
    (depth,) = found.num_blocks
    # With fewer than 7 blocks some taps of the released model are equal or change their order.
    depths = (2, 4, depth - 2, depth) if depth >= 7 else ()
    names = ("decoder.0.blocks.", "decoder.0.norm.bias", "decoder.2.pred.0.bias")
    more = {"depths": depths} | _hog(state, state["decoder.2.pred.0.bias"], found.in_channels)
    return replace(found, branches=_decoders(state, "localmim", *names, **more))


def _localmim_swin(state: Mapping[str, Tensor]) -> Architecture:
    found = trunk(_of_prefix(state, "encoder."))
    if "decoder.0.mask_token" not in state:
        return found
    side, rest = square(state["decoder.0.pos_embed"].shape[1])
    if rest:
        raise ValueError("The positions of the first decoder are not a square grid.")
    names = ("decoder.3.blocks.", "decoder.3.norm.bias", "decoder.3.pred.bias")
    more = {"depths": (1, 2, 3, 4)} | _hog(state, state["decoder.3.pred.bias"], found.in_channels)
    branches = _decoders(state, "localmim", *names, **more)
    return replace(found, image_size=2 * side * found.patch_size, branches=branches)


def _hog(state: Mapping[str, Tensor], head: Tensor, channels: int) -> dict[str, Any]:
    hog = "hog_enc.0.conv.weight" in state
    return {"bins": head.shape[0] // channels if hog else None, "bias": "hog_enc.0.conv.bias" in state}


def _crossmae(state: Mapping[str, Tensor]) -> Architecture:
    found = trunk(state)
    # With a mixture the released model has no final norm; ours is new.
    found = replace(found, timm={name: value for name, value in found.timm.items() if name != "final_norm"})
    (depth,) = found.num_blocks
    mixed = "wfm.linear.weight" in state
    maps = state["wfm.linear.weight"].shape[1] if mixed else 1
    depths = tuple(range(depth + 1))[-maps:] if not mixed or maps >= depth else ()
    names = ("decoder_blocks.", "decoder_norm.bias", "decoder_pred.bias")
    more = {"mixture": mixed, "self_attention": "decoder_blocks.0.norm0.weight" in state}
    return replace(found, branches=_decoders(state, "crossmae", *names, depths=depths, **more))


def _mff(state: Mapping[str, Tensor]) -> Architecture:
    ours = in_our_names(state)
    found = _ours(ours)
    # The six of twelve blocks of the recipe; shapes show only their number.
    recipe = (found.num_blocks, len(state["backbone.proj_weights"])) == ((12,), 6)
    depths = (1, 3, 5, 7, 9, 12) if recipe else ()
    names = ("decoder.blocks.", "decoder.norm.bias", "decoder.head.bias")
    return replace(found, branches=_decoders(ours, "mff", *names, depths=depths))


def _ijepa(state: Mapping[str, Tensor]) -> Architecture:
    found = trunk(_of_prefix(state, "encoder."))
    names = ("predictor.predictor_blocks.", "predictor.predictor_norm.bias", "predictor.predictor_proj.bias")
    return replace(found, branches=_decoders(state, "ijepa", *names, depths=found.num_blocks))


def _simmim(state: Mapping[str, Tensor]) -> Architecture:
    inner = _of_prefix(state, "encoder.")
    if "rel_pos_bias.relative_position_bias_table" in inner:
        found = beit(inner)
    else:
        # The released layer scale and biases have other names than those of a plain ViT.
        inner |= {"blocks.0.ls1.gamma": inner["blocks.0.gamma_1"]} if "blocks.0.gamma_1" in inner else {}
        inner |= {"blocks.0.attn.qkv.bias": inner["blocks.0.attn.q_bias"]} if "blocks.0.attn.q_bias" in inner else {}
        found = replace(trunk(inner), norm_eps=1e-5 if "layers.0.blocks.0.norm1.bias" in inner else 1e-6)
        if found.family == "vit":
            # Learned positions are the default of timm but not part of the papers' ViT.
            found = replace(found, timm=found.timm | {"fc_norm": False})
    if "decoder.0.weight" not in state:
        return found
    values, dim, *_ = state["decoder.0.weight"].shape
    depth = len(found.num_blocks) if found.family == "swin" else found.num_blocks[0]
    branches = Branches("simmim", (depth,), dim, 0, 0.0, values)
    return replace(found, branches=branches)


def _ours(state: Mapping[str, Tensor]) -> Architecture:
    return trunk(_of_prefix(state, "encoder.trunk."))


def _transformers(state: Mapping[str, Tensor]) -> Architecture:
    return _mae(from_transformers(state))


_ARCHITECTURES = {
    "mae": _mae,
    "mae-finetune": trunk,
    "deepmim": _deepmim,
    "localmim-vit": _localmim_vit,
    "localmim-swin": _localmim_swin,
    "localmim-swin-finetune": trunk,
    "mirl": _mirl,
    "mirl-finetune": trunk,
    "crossmae": _crossmae,
    "mff": _mff,
    "simmim": _simmim,
    "ijepa": _ijepa,
    "timm": trunk,
    "transformers-vitmae": _transformers,
    "mimbench": _ours,
}
