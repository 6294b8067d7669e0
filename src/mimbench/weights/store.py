"""Directories of weights: imports, runs and folders of Hugging Face."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import save
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from mimbench.core.files import write_atomic
from mimbench.encoders import Encoder
from mimbench.runs.directory import CONFIG, ENCODER, config
from mimbench.weights.architecture import Architecture
from mimbench.weights.building import build
from mimbench.weights.files import WeightFile, read_state_dict
from mimbench.weights.importing import Imported
from mimbench.weights.recognize import architecture_of, format_of

METHOD, NOTES = "method.safetensors", "weights.json"
CLASSIFIER = "classifier.safetensors"
INDEX = "model.safetensors.index.json"  # of several files, as Hugging Face writes large models
# Files of weights in a directory, the most complete first.
_FILES = (METHOD, CLASSIFIER, "model.safetensors", INDEX, "checkpoints/last.ckpt", ENCODER)


def locate(path: Path) -> Path:
    """The file of weights at a path: the path itself, or the most complete file in a directory.

    Raises:
        ValueError: The directory has no such file.
    """
    if not path.is_dir():
        return path
    for name in _FILES:
        if (path / name).is_file():
            return path / name
    raise ValueError(f"{path} contains no weights; expected one of {', '.join(_FILES)}.")


def write_state_dict(state: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Writes tensors as safetensors atomically with the permissions of the umask.

    Raises:
        OSError: The disk is full, or access is denied.
    """
    write_atomic(path, save({name: tensor.detach().contiguous() for name, tensor in state.items()}, metadata))


def write_import(imported: Imported, file: WeightFile, directory: Path) -> list[Path]:
    """Writes encoder, method or classifier, and finally the notes.

    Raises:
        ValueError: The directory already contains files.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ValueError(f"{directory} exists already; choose another --out.")
    directory.mkdir(parents=True, exist_ok=True)
    write_state_dict(imported.encoder(), directory / ENCODER)
    for name, state in ((METHOD, imported.method()), (CLASSIFIER, imported.classifier())):
        if state is not None:
            write_state_dict(state, directory / name)
    write_atomic(directory / NOTES, json.dumps(_notes(imported, file), indent=1) + "\n")
    return [directory / name for name in (ENCODER, METHOD, CLASSIFIER, NOTES) if (directory / name).is_file()]


def load_method(directory: Path, method: nn.Module) -> None:
    """Loads the weights of an imported directory into a method.

    Parts with their own files, such as a frozen teacher, are not changed.

    Raises:
        ValueError: The directory has no method, or entries are missing, unexpected or of another size.
    """
    if not (directory / METHOD).is_file():
        raise ValueError(f"{directory} holds an encoder without decoders; pre-training starts them anew.")
    state, own = read_state_dict(directory / METHOD), method.state_dict()
    missing = sorted(name for name in own.keys() - state.keys() if ".teacher." not in name)
    unexpected = sorted(state.keys() - own.keys())
    wrong = sorted(name for name in state.keys() & own.keys() if state[name].shape != own[name].shape)
    if missing or unexpected or wrong:
        raise ValueError(
            f"{directory} holds another method. Missing: {missing[:5]}. Unexpected: {unexpected[:5]}. "
            f"Of another size: {wrong[:5]}."
        )
    method.load_state_dict(own | state)


def load_classifier(directory: Path) -> nn.Module:
    """The fine-tuned classifier of an imported directory, a VisionTransformer or SwinTransformer of timm.

    Raises:
        ValueError: The directory has no classifier.
    """
    notes = notes_of(directory)
    if notes is None or not (directory / CLASSIFIER).is_file():
        raise ValueError(
            f"{directory} contains no classifier; import a fine-tuned file with `mimbench weights import`."
        )
    classifier = build(Architecture.from_dict(notes["architecture"]))
    classifier.load_state_dict(read_state_dict(directory / CLASSIFIER))
    return classifier


def load_encoder(directory: Path, encoder: Encoder, adapt: bool = False) -> None:
    """Loads the encoder of a run or an imported directory, strictly.

    Args:
        adapt: Whether an encoder fine-tuned on the mean of its patches may be loaded. Its last norm follows that mean
            (timm's `fc_norm`), so that its last tokens then have no norm.

    Raises:
        ValueError: The directory has no encoder, or one of another architecture.
    """
    if not (directory / ENCODER).is_file():
        raise ValueError(
            f"{directory} holds no {ENCODER}; expected a run or a directory written by `mimbench weights import`."
        )
    state, trunk = read_state_dict(directory / ENCODER), encoder.trunk
    if "fc_norm.weight" in state and isinstance(trunk, VisionTransformer) and isinstance(trunk.fc_norm, nn.Identity):
        if not adapt:
            raise ValueError(
                f"{directory} was fine-tuned on the mean of its patches and has no norm for single tokens; "
                "pre-train from a pre-training checkpoint instead."
            )
        trunk.norm, trunk.fc_norm, trunk.global_pool = nn.Identity(), trunk.norm, "avg"
    try:
        trunk.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{directory} belongs to another encoder: {error}") from error


def notes_of(directory: Path) -> dict[str, Any] | None:
    """The notes of an imported directory; None for other directories."""
    path = directory / NOTES
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def stored_architecture(directory: Path, encoder: dict[str, Tensor], num_heads: int | None) -> Architecture:
    """The architecture of the encoder in a directory, from the notes of an import or from the shapes.

    Args:
        num_heads: Attention heads of a ViT if the directory does not contain them.
    """
    notes = notes_of(directory)
    name = format_of(encoder)
    found = architecture_of(encoder, name)
    if notes is None:
        return found.completed(name, num_heads=num_heads)
    noted = Architecture.from_dict(notes["architecture"])
    if (noted.width, noted.num_blocks) != (found.width, found.num_blocks):
        raise ValueError(f"{NOTES} and {ENCODER} in {directory} do not belong together.")
    return replace(noted, num_heads=(num_heads,)) if num_heads and noted.family == "vit" else noted


def stored_config(directory: Path) -> dict[str, Any]:
    """The configuration of a run; empty for an import.

    Raises:
        ValueError: The file is no configuration.
    """
    return config(directory) if (directory / CONFIG).is_file() else {}


def stored_image_size(directory: Path) -> int | None:
    """Side in pixels of the images that a run or an import was made for; None if nothing says it."""
    if (notes := notes_of(directory)) is not None:
        return notes["architecture"].get("image_size")
    data = stored_config(directory).get("data")
    size = data.get("image_size") if isinstance(data, dict) else None
    return size if type(size) is int else None


def heads_beside(path: Path) -> int | None:
    """The number of attention heads in the configuration of a Hugging Face folder."""
    config = path.parent / "config.json"
    if path.name not in ("model.safetensors", INDEX) or not config.is_file():
        return None
    return json.loads(config.read_text(encoding="utf-8")).get("num_attention_heads")


def _notes(imported: Imported, file: WeightFile) -> dict[str, Any]:
    resized = imported.resized
    return {
        "schema": 1,
        "format": imported.format,
        "released_quirks": imported.released_quirks,
        "architecture": imported.architecture.as_dict(),
        "source": {"file": file.path.name, "sha256": file.sha256(), "left_out_beside_the_weights": list(file.beside)},
        "positions": "as in the file" if resized is None else f"interpolated, {resized[0]}² to {resized[1]}² patches",
        "entries": imported.fates,
    }
