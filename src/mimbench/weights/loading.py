"""Python that loads an export, for its README."""

import json
import keyword
from collections.abc import Mapping
from typing import Any

from mimbench.weights.architecture import Architecture
from mimbench.weights.building import timm_arguments

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
    load = f"model.load_state_dict(load_file({json.dumps(file)}))\n"
    if a.family == "swin":
        return (
            f"from functools import partial\n\n{_FILE}from timm.models.swin_transformer import SwinTransformer\n"
            f"from torch.nn import LayerNorm\n\nnorm = partial(LayerNorm, eps={a.norm_eps})\n"
            f"{_call('model = SwinTransformer', timm_arguments(a), 'norm_layer=norm')}{load}"
        )
    return (
        f"{_FILE}from timm.models.vision_transformer import VisionTransformer\n\n"
        f"{_call('model = VisionTransformer', timm_arguments(a))}{load}"
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
