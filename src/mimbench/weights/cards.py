"""The README of an export, a model card: what it is, how to load it and prepare images, and how it was trained."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mimbench
from mimbench.core.normalization import IMAGENET_MEAN, IMAGENET_STD
from mimbench.core.text import printable
from mimbench.runs import records
from mimbench.runs.directory import RECORD
from mimbench.runs.records import Record, headline
from mimbench.weights.store import notes_of, stored_config


@dataclass(frozen=True)
class Export:
    """What is exported.

    Attributes:
        format: "timm", "transformers-vit" and so on.
        content: In words, such as "encoder and decoder".
        library: Name of the library that loads it, for the Hugging Face hub.
        loading: Python that loads it; None if the weights do not tell enough.
        image_size: In pixels; None if unknown.
    """

    format: str
    content: str
    library: str
    loading: str | None
    image_size: int | None


def preprocessing(image_size: int | None) -> dict[str, Any]:
    """Size, mean and standard deviation of the images that a model expects."""
    return {"image_size": image_size, "mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}


def image_processor(image_size: int | None) -> dict[str, Any]:
    """The same as Hugging Face's `preprocessor_config.json`."""
    side = image_size or 224
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": side, "width": side},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(IMAGENET_MEAN),
        "image_std": list(IMAGENET_STD),
    }


def model_card(directory: Path, export: Export) -> str:
    """The README of an export as Markdown; its first lines are read by the Hugging Face hub."""
    record = records.read(directory / RECORD) if (directory / RECORD).is_file() else None
    method = [str(record.axes["method"])] if record is not None else []
    tags = ", ".join(json.dumps(tag) for tag in ("masked-image-modeling", "mimbench", *method))
    name = printable(record.name if record is not None else directory.resolve().name)
    parts = [
        f"---\nlibrary_name: {export.library}\ntags: [{tags}]\n---\n\n# {name}",
        f"{export.content[0].upper()}{export.content[1:]} in the format {export.format}, exported by mimbench "
        f"{mimbench.__version__}.",
        f"## Load\n\n{_loading(export)}",
        f"## Images\n\n{_images(export.image_size)}",
        f"## Training\n\n{_table(_training(directory, record))}",
    ]
    if record is not None and (results := list(_results(record))):
        parts.append(f"## Results\n\n{_table(results, ('protocol', 'result'))}")
    return "\n\n".join([*parts, f"## Limits\n\n{_LIMITS}"]) + "\n"


_LIMITS = (
    "The results hold for these data and protocols only. The encoder was trained without labels and has no classes; "
    "what its training images show unevenly, its features show unevenly too. Check the license of the training data "
    "before you publish these weights, and name one in the first lines of this file."
)


def _loading(export: Export) -> str:
    if export.loading is None:
        return (
            "The attention heads were not recorded, so the model cannot be named; `load_state_dict` fits timm's model."
        )
    return f"From the folder that contains this export:\n\n```python\n{export.loading}```"


def _images(image_size: int | None) -> str:
    values = preprocessing(image_size)
    side = "the size of the training" if image_size is None else f"{image_size} x {image_size} pixels"
    return (
        f"RGB values from 0 to 1, resized to {side}, minus the mean {values['mean']}, divided by the standard "
        f"deviation {values['std']}."
    )


def _training(directory: Path, record: Record | None) -> Iterator[tuple[str, Any]]:
    if (notes := notes_of(directory)) is not None:
        yield "imported from", f"a file of the format {notes['format']}"
        yield "SHA-256 of the file", notes["source"]["sha256"]
    if record is None:
        return
    yield from record.axes.items()
    yield "identity", record.identity
    yield from _options(stored_config(directory))
    for key in ("train_steps", "images_seen", "training_flops"):
        if key in record.cost:
            yield key.replace("_", " "), record.cost[key]
    yield "mimbench", record.environment.get("mimbench", "unknown")


def _options(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for group, keys in (("target", ("_target_",)), ("masker", ("ratio",)), ("optim", ("batch_size", "base_lr"))):
        part = values.get(group)
        if isinstance(part, dict):
            yield from ((group if key == "_target_" else f"{group}.{key}", part[key]) for key in keys if key in part)


def _results(record: Record) -> Iterator[tuple[str, str]]:
    for name, result in record.metrics.items():
        if (shown := headline(result)) is not None:
            yield name, f"{shown.name} {100 * shown.value:.2f} %"


def _table(rows: Any, head: tuple[str, str] = ("", "")) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|:--|:--|"]
    lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return " ".join(printable(str(value)).replace("|", "\\|").replace("<", "&lt;").split())
