"""Exports weights to the formats of timm, Hugging Face and released code."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mimbench.core.files import write_atomic
from mimbench.weights.architecture import Architecture
from mimbench.weights.building import build, trunk_prefix
from mimbench.weights.files import read_state_dict
from mimbench.weights.formats import format_named
from mimbench.weights.formats.huggingface import to_transformers
from mimbench.weights.formats.mae import MAE_FORMAT
from mimbench.weights.store import CLASSIFIER, ENCODER, METHOD, notes_of, stored_architecture, write_state_dict

EXPORTS = ("timm", "transformers-vit", "transformers-vitmae", "released")
# The epsilon of our ViTs and of the papers; the default of Hugging Face is 1e-12.
_EPS = 1e-6


def export_weights(
    directory: Path,
    name: str,
    out: Path,
    num_heads: int | None = None,
    decoder: bool = False,
    pooler: bool = True,
) -> list[Path]:
    """Writes the weights of a run or an import in another format.

    Args:
        directory: Contains encoder.safetensors, and method.safetensors if decoders are exported.
        name: "timm" and "released" (the format it was imported from) write a file, the others a folder.
        out: File or folder to write; must not exist.
        num_heads: Attention heads of a ViT if the directory does not contain them.
        decoder: Whether transformers-vitmae includes the decoder, for ViTMAEForPreTraining.
        pooler: Whether transformers-vit includes an identity as the pooler, which ViTModel has by default.

    Returns:
        The written files.

    Raises:
        ValueError: There is nothing to export, `out` exists, or the format cannot represent the model.
    """
    if name not in EXPORTS:
        raise ValueError(f"There is no format '{name}' to export; choose from {', '.join(EXPORTS)}.")
    if out.exists():
        raise ValueError(f"{out} exists already; choose another --out.")
    if not (directory / ENCODER).is_file():
        raise ValueError(f"{directory} holds no {ENCODER}; give a run that was trained or an import.")
    if decoder and name != "transformers-vitmae":
        raise ValueError("Only transformers-vitmae takes a decoder along.")
    encoder = read_state_dict(directory / ENCODER)
    if name == "timm":
        return _file(read_state_dict(directory / CLASSIFIER) if (directory / CLASSIFIER).is_file() else encoder, out)
    if name == "released":
        return _file(_released(directory), out)
    architecture = stored_architecture(directory, encoder, num_heads)
    _check_plain(architecture, encoder)
    if name == "transformers-vit":
        state = to_transformers(encoder) | (_pooler(encoder) if pooler else {})
        return _folder(state, _vit_config(architecture), out)
    if not decoder:
        return _folder(to_transformers(encoder), _vitmae_config(architecture), out)
    return _folder(_pretraining(directory, architecture), _vitmae_config(architecture), out)


def _file(state: dict[str, Tensor], out: Path) -> list[Path]:
    out.parent.mkdir(parents=True, exist_ok=True)
    write_state_dict(state, out, {"format": "pt"})
    return [out]


def _folder(state: dict[str, Tensor], config: dict[str, Any], out: Path) -> list[Path]:
    out.mkdir(parents=True)
    write_state_dict(state, out / "model.safetensors", {"format": "pt"})
    write_atomic(out / "config.json", json.dumps(config, indent=2) + "\n")
    return [out / "config.json", out / "model.safetensors"]


def _method(directory: Path) -> nn.Module:
    notes = notes_of(directory)
    if notes is None or not (directory / METHOD).is_file():
        raise ValueError(f"{directory} is no import with decoders ({METHOD} is missing); only the encoder can go out.")
    module = build(Architecture.from_dict(notes["architecture"]), notes["released_quirks"])
    module.load_state_dict(read_state_dict(directory / METHOD))
    return module


def _released(directory: Path) -> dict[str, Tensor]:
    """The whole model with the names of the file that it was imported from."""
    notes = notes_of(directory)
    if notes is None:
        raise ValueError(f"{directory} was not imported; export it as timm or transformers-vit.")
    name, quirks = notes["format"], notes["released_quirks"]
    if (directory / METHOD).is_file():
        module = _method(directory)
    else:
        quirks = False  # an encoder without decoders is stored as timm computes it
        module = build(Architecture.from_dict(notes["architecture"]))
        whole, prefix = directory / CLASSIFIER, trunk_prefix(module)
        state = read_state_dict(whole if whole.is_file() else directory / ENCODER)
        module.load_state_dict({prefix + entry: tensor for entry, tensor in state.items()})
    state = format_named(name, quirks).export(module)
    if name != "transformers-vitmae":
        return state
    return to_transformers(state, prefix="vit." if "mask_token" in state else "")


def _pretraining(directory: Path, architecture: Architecture) -> dict[str, Tensor]:
    branches = architecture.branches
    if branches is None or branches.method != "mae":
        raise ValueError(f"{directory} holds no decoder of MAE, the only one that ViTMAEForPreTraining has.")
    return to_transformers(MAE_FORMAT.export(_method(directory)), prefix="vit.")


def _check_plain(architecture: Architecture, encoder: dict[str, Tensor]) -> None:
    if architecture.family != "vit" or architecture.num_registers or "cls_token" not in encoder:
        raise ValueError("Hugging Face's ViT is a plain one with a class token; export this encoder as timm.")
    if architecture.timm:
        names = ", ".join(architecture.timm)
        raise ValueError(f"Hugging Face's ViT has no place for {names} of this one; export it as timm.")


def _pooler(encoder: dict[str, Tensor]) -> dict[str, Tensor]:
    # ViTModel has a pooler by default. It was not trained; with an identity it returns tanh of the class token.
    weight = encoder["norm.weight"]
    eye = weight.new_zeros(len(weight), len(weight)).fill_diagonal_(1)
    return {"pooler.dense.weight": eye, "pooler.dense.bias": weight.new_zeros(len(weight))}


def _config(a: Architecture) -> dict[str, Any]:
    assert a.num_heads is not None
    return {
        "hidden_size": a.width,
        "num_hidden_layers": a.num_blocks[0],
        "num_attention_heads": a.num_heads[0],
        "intermediate_size": round(a.width * a.mlp_ratio),
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "layer_norm_eps": _EPS,
        "image_size": a.image_size,
        "patch_size": a.patch_size,
        "num_channels": a.in_channels,
        "qkv_bias": True,
    }


def _vit_config(a: Architecture) -> dict[str, Any]:
    pooler = {"pooler_output_size": a.width, "pooler_act": "tanh", "encoder_stride": a.patch_size}
    return {"model_type": "vit", "architectures": ["ViTModel"]} | _config(a) | pooler


def _vitmae_config(a: Architecture) -> dict[str, Any]:
    config = {"model_type": "vit_mae", "architectures": ["ViTMAEModel"]} | _config(a) | {"mask_ratio": 0.75}
    if a.branches is None or a.branches.method != "mae":
        return config
    decoder = {
        "decoder_hidden_size": a.branches.dim,
        "decoder_num_hidden_layers": a.branches.num_blocks,
        "decoder_num_attention_heads": a.branches.num_heads,
        "decoder_intermediate_size": round(a.branches.dim * a.branches.mlp_ratio),
    }
    return config | {"architectures": ["ViTMAEForPreTraining"]} | decoder
