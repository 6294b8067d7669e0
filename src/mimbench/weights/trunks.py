"""The architecture of encoders and classifiers, from the shapes of their weights."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mimbench.weights.architecture import Architecture


def trunk(state: Mapping[str, Tensor]) -> Architecture:
    """Architecture of a plain ViT or a Swin, with or without a head, with the names of timm or released code.

    Raises:
        KeyError: An entry that shows a size is missing.
        ValueError: The positions are not a square grid, or the blocks are not those of a plain ViT.
    """
    return _swin(state) if any(entry.startswith("layers.") for entry in state) else _vit(state)


def beit(state: Mapping[str, Tensor]) -> Architecture:
    """Architecture of a ViT with a shared relative position bias on a square grid, with the names of its released code.

    Raises:
        KeyError: An entry that shows a size is missing.
    """
    width, channels, patch, _ = state["patch_embed.proj.weight"].shape
    distances, heads = state["rel_pos_bias.relative_position_bias_table"].shape
    side = (round((distances - 3) ** 0.5) + 1) // 2
    ratio = state["blocks.0.mlp.fc1.bias"].shape[0] / width
    extra = {} if "blocks.0.gamma_1" in state else {"init_values": None}
    return Architecture(
        "beit", width, (count(state, "blocks."),), patch, side * patch, ratio, (heads,), channels, timm=extra
    )


def count(state: Mapping[str, Tensor], prefix: str) -> int:
    """Length of the list of modules whose entries start with `prefix`."""
    return len({entry.removeprefix(prefix).split(".")[0] for entry in state if entry.startswith(prefix)})


def square(tokens: int) -> tuple[int, int]:
    """Side of the largest square grid of at most `tokens` patches, and how many tokens remain."""
    side = int(tokens**0.5)
    return side, tokens - side * side


def _vit(state: Mapping[str, Tensor]) -> Architecture:
    width, channels, patch, _ = state["patch_embed.proj.weight"].shape
    hidden, out = (state.get(f"blocks.0.mlp.{part}") for part in ("fc1.bias", "fc2.weight"))
    if hidden is None or out is None or len(hidden) not in out.shape:  # fc1 of a gated MLP is twice as wide
        raise ValueError(
            "These are no blocks of a plain ViT; timm's own models of other kinds work by name, as "
            "encoder=timm encoder.model_name=NAME encoder.pretrained=true."
        )
    registers = state["reg_token"].shape[1] if "reg_token" in state else 0
    side, extra = _positions(state, registers + ("cls_token" in state))
    extra |= _differences(state)
    num_classes = state["head.bias"].shape[0] if "head.bias" in state else 0
    pooled_norm = "fc_norm.weight" in state
    pooled = pooled_norm or (num_classes > 0 and "cls_token" not in state)
    extra |= {"fc_norm": pooled_norm} if pooled else {}
    if not pooled_norm and not any(entry.startswith("norm.") for entry in state):
        extra["final_norm"] = False
    return Architecture(
        "vit",
        width,
        (count(state, "blocks."),),
        patch,
        side * patch,
        state["blocks.0.mlp.fc1.bias"].shape[0] / width,
        in_channels=channels,
        num_registers=registers,
        num_classes=num_classes,
        global_pool="avg" if pooled or "cls_token" not in state else "token",
        timm=extra,
    )


def _positions(state: Mapping[str, Tensor], prefix: int) -> tuple[int, dict[str, Any]]:
    """Side of the grid, and whether class and register tokens have no positions."""
    tokens = state["pos_embed"].shape[1]
    side, rest = square(tokens - prefix)
    if not rest:
        return side, {}
    side, rest = square(tokens)
    if rest:
        raise ValueError(f"{tokens} positions are no square grid, with or without {prefix} tokens before it.")
    return side, {"no_embed_class": True}


def _differences(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Arguments of timm's VisionTransformer that differ from the ViT of the papers."""
    differences: dict[str, tuple[bool, Any]] = {
        "class_token": ("cls_token" not in state, False),
        "init_values": ("blocks.0.ls1.gamma" in state, 1e-5),
        "qk_norm": ("blocks.0.attn.q_norm.weight" in state, True),
        "qkv_bias": ("blocks.0.attn.qkv.bias" not in state, False),
        "pre_norm": ("norm_pre.weight" in state, True),
    }
    return {name: value for name, (present, value) in differences.items() if present}


def _swin(state: Mapping[str, Tensor]) -> Architecture:
    width, channels, patch, _ = state["patch_embed.proj.weight"].shape
    stages = range(count(state, "layers."))
    tables = [state[f"layers.{i}.blocks.0.attn.relative_position_bias_table"].shape for i in stages]
    window = (round(tables[0][0] ** 0.5) + 1) // 2
    head = state.get("head.fc.bias", state.get("head.bias"))
    return Architecture(
        "swin",
        width,
        tuple(count(state, f"layers.{i}.blocks.") for i in stages),
        patch,
        _image_size(state, window, patch),
        state["layers.0.blocks.0.mlp.fc1.bias"].shape[0] / width,
        tuple(int(heads) for _, heads in tables),
        channels,
        window=window,
        num_classes=0 if head is None else head.shape[0],
        global_pool="avg" if head is not None else "token",
    )


def _image_size(state: Mapping[str, Tensor], window: int, patch: int) -> int | None:
    """The image size from the number of windows, which older files show in the mask of the first shifted block."""
    mask = state.get("layers.0.blocks.1.attn_mask")
    return None if mask is None else round(mask.shape[0] ** 0.5) * window * patch
