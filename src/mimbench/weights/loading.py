"""Python that loads an export, for its README."""

import json
import keyword
from collections.abc import Mapping
from typing import Any

from mimbench.weights.architecture import Architecture

_FILE = "from safetensors.torch import load_file\n"


def load_transformers(model: str, folder: str, options: str = "") -> str:
    """Loads a folder with Hugging Face's class `model`."""
    return (
        f"from transformers import ViTImageProcessor, {model}\n\n"
        f"processor = ViTImageProcessor.from_pretrained({json.dumps(folder)})\n"
        f"model = {model}.from_pretrained({json.dumps(folder)}{options})\n"
    )


def load_released(file: str) -> str:
    """Reads a file with the released code's names."""
    return f"{_FILE}\nstate = load_file({json.dumps(file)})  # for model.load_state_dict(state) in the released code\n"


def load_timm(a: Architecture, file: str) -> str:
    """Builds timm's model and loads a file."""
    if a.family == "swin":
        return _load_swin(a, file)
    assert a.num_heads is not None
    sizes = {
        "img_size": a.image_size,
        "patch_size": a.patch_size,
        "in_chans": a.in_channels,
        "embed_dim": a.width,
        "depth": a.num_blocks[0],
        "num_heads": a.num_heads[0],
        "mlp_ratio": a.mlp_ratio,
        "reg_tokens": a.num_registers,
        "num_classes": a.num_classes,
        "global_pool": a.global_pool,
    }
    return (
        f"{_FILE}from timm.models.vision_transformer import VisionTransformer\n\n"
        f"{_call('model = VisionTransformer', sizes | {'fc_norm': False} | a.timm)}"
        f"model.load_state_dict(load_file({json.dumps(file)}))\n"
    )


def _load_swin(a: Architecture, file: str) -> str:
    sizes = {
        "img_size": a.image_size,
        "patch_size": a.patch_size,
        "in_chans": a.in_channels,
        "embed_dim": a.width,
        "depths": a.num_blocks,
        "num_heads": a.num_heads,
        "window_size": a.window,
        "mlp_ratio": a.mlp_ratio,
        "num_classes": a.num_classes,
    }
    return (
        f"from functools import partial\n\n{_FILE}from timm.models.swin_transformer import SwinTransformer\n"
        f"from torch.nn import LayerNorm\n\nnorm = partial(LayerNorm, eps={a.norm_eps})\n"
        f"{_call('model = SwinTransformer', sizes, 'norm_layer=norm')}"
        f"model.load_state_dict(load_file({json.dumps(file)}))\n"
    )


def load_with_mimbench(encoder: Mapping[str, Any], file: str) -> str | None:
    """Builds the encoder of a run from its configuration and loads a file; None if that is none of mimbench."""
    module, _, name = str(encoder.get("_target_")).rpartition(".")
    values = {key: value for key, value in encoder.items() if key not in ("_target_", "name", "pretrained")}
    if module != "mimbench.encoders" or not name.isidentifier() or not all(map(_is_argument, values)):
        return None
    return (
        f"{_FILE}\nfrom mimbench.encoders import {name}\n\n{_call(f'encoder = {name}', values)}"
        f"encoder.trunk.load_state_dict(load_file({json.dumps(file)}))\n"
    )


def _is_argument(name: Any) -> bool:
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)


def _call(function: str, values: Mapping[str, Any], *further: str) -> str:
    arguments = [*(f"{name}={value!r}" for name, value in values.items()), *further]
    return f"{function}(\n" + "".join(f"    {argument},\n" for argument in arguments) + ")\n"
