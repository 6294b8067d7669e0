"""Exports weights to the formats of timm, Hugging Face and released code."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mimbench.core.files import write_atomic
from mimbench.weights.architecture import Architecture
from mimbench.weights.building import build, trunk_prefix
from mimbench.weights.cards import Export, image_processor, model_card, preprocessing
from mimbench.weights.files import read_state_dict
from mimbench.weights.formats import format_named
from mimbench.weights.formats.huggingface import to_transformers
from mimbench.weights.formats.mae import MAE_FORMAT
from mimbench.weights.loading import load_released, load_timm, load_transformers, load_with_mimbench
from mimbench.weights.run_decoders import NO_DECODER, mae_of_run
from mimbench.weights.store import (
    CLASSIFIER,
    ENCODER,
    METHOD,
    notes_of,
    stored_architecture,
    stored_config,
    stored_image_size,
    write_state_dict,
)

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
        directory: Contains encoder.safetensors, and method.safetensors if decoders of an import are exported.
        name: "timm" and "released" (the format it was imported from) write a file, and beside it a README with the
            file's name and .md; the others write a folder with README.md.
        out: File or folder to write; must not exist.
        num_heads: Attention heads of a ViT if the directory does not contain them.
        decoder: Whether transformers-vitmae includes the decoder, for ViTMAEForPreTraining; the decoder of a run is
            taken from its last checkpoint.
        pooler: Whether transformers-vit includes an identity as the pooler, which ViTModel has by default.

    Returns:
        The written files, the README last.

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
        return _timm(directory, encoder, out, num_heads)
    if name == "released":
        loading, size = load_released(out.name), stored_image_size(directory)
        return _file(_released(directory), directory, out, Export(name, "the model", "pytorch", loading, size))
    architecture = stored_architecture(directory, encoder, num_heads)
    _check_plain(architecture, encoder)
    if name == "transformers-vit":
        state = to_transformers(encoder) | (_pooler(encoder) if pooler else {})
        options = "" if pooler else ", add_pooling_layer=False"
        return _folder(state, directory, _vit_config(architecture), out, "ViTModel", options)
    if not decoder:
        return _folder(to_transformers(encoder), directory, _vitmae_config(architecture), out, "ViTMAEModel")
    state, values = _pretraining(directory, architecture)
    return _folder(state, directory, values, out, "ViTMAEForPreTraining")


def _timm(directory: Path, encoder: dict[str, Tensor], out: Path, num_heads: int | None) -> list[Path]:
    """An encoder, or a classifier with its head."""
    classifier = (directory / CLASSIFIER).is_file()
    state = read_state_dict(directory / CLASSIFIER) if classifier else encoder
    content = "classifier" if classifier else "encoder"
    loading = _timm_loading(directory, state, out.name, num_heads)
    return _file(state, directory, out, Export("timm", content, "timm", loading, stored_image_size(directory)))


def _timm_loading(directory: Path, state: dict[str, Tensor], file: str, num_heads: int | None) -> str | None:
    encoder = stored_config(directory).get("encoder", {})
    if str(encoder.get("_target_")).startswith("mimbench.encoders.timm_"):  # a model of timm's with values of its own
        return load_with_mimbench(encoder, file)
    try:
        architecture = stored_architecture(directory, state, num_heads)
    except ValueError:  # neither a plain ViT nor a Swin, or an unknown number of heads
        return load_with_mimbench(encoder, file)
    size = stored_image_size(directory) or architecture.image_size
    return load_timm(
        replace(architecture, image_size=size, norm_eps=encoder.get("norm_eps", architecture.norm_eps)), file
    )


def _file(state: dict[str, Tensor], directory: Path, out: Path, export: Export) -> list[Path]:
    readme = out.with_suffix(".md")
    if readme.exists():
        raise ValueError(f"{readme} exists already; choose another --out.")
    out.parent.mkdir(parents=True, exist_ok=True)
    images = {name: json.dumps(value) for name, value in preprocessing(export.image_size).items()}
    write_state_dict(state, out, {"format": "pt"} | images)
    write_atomic(readme, model_card(directory, export))
    return [out, readme]


def _folder(
    state: dict[str, Tensor], directory: Path, values: dict[str, Any], out: Path, model: str, options: str = ""
) -> list[Path]:
    """A folder of Hugging Face, for its class `model`."""
    content = "encoder and decoder" if model == "ViTMAEForPreTraining" else "encoder"
    loading = load_transformers(model, out.name, options)
    export = Export(values["model_type"], content, "transformers", loading, values["image_size"])
    readme = model_card(directory, export)
    out.mkdir(parents=True)
    write_state_dict(state, out / "model.safetensors", {"format": "pt"})
    for name, content in (("config.json", values), ("preprocessor_config.json", image_processor(export.image_size))):
        write_atomic(out / name, json.dumps(content, indent=2) + "\n")
    write_atomic(out / "README.md", readme)
    return [out / name for name in ("config.json", "model.safetensors", "preprocessor_config.json", "README.md")]


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


def _pretraining(directory: Path, architecture: Architecture) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and configuration of ViTMAEForPreTraining, from an import or a run."""
    if notes_of(directory) is None:
        module, whole, further = mae_of_run(directory, architecture)
        return to_transformers(MAE_FORMAT.export(module), prefix="vit."), _vitmae_config(whole) | further
    if architecture.branches is None or architecture.branches.method != "mae":
        raise ValueError(NO_DECODER.format(directory))
    return to_transformers(MAE_FORMAT.export(_method(directory)), prefix="vit."), _vitmae_config(architecture)


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
