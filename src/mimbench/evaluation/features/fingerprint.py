"""Keys of cached features: they change when a weight, a setting of the encoder or an image does."""

import hashlib
from typing import Any

import torch
from torch import Tensor, nn

from mimbench.data import ImageDataModule
from mimbench.data.source import SplitName

_FORMAT = "1"  # of the files; a change makes all older ones unknown
_NUM_PROBES = 16
_SCALARS = (bool, int, float, str)


def key(encoder: nn.Module, datamodule: ImageDataModule, split: SplitName) -> str:
    """Sixteen hexadecimal digits for the features of a split."""
    digest = hashlib.sha256(f"{_FORMAT} {split} {of_module(encoder)} {of_split(datamodule, split)}".encode())
    return digest.hexdigest()[:16]


def of_module(module: nn.Module) -> str:
    """SHA-256 of weights and settings, by name.

    Settings count as well, as the number of heads is in no weight's shape.
    """
    digest = hashlib.sha256()
    for name, part in module.named_modules():
        settings = {key: value for key, value in vars(part).items() if key != "training" and _is_plain(value)}
        digest.update(f"{name} {type(part).__name__} {sorted(settings.items())}".encode())
    for name, value in module.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(_bytes(value))
    return digest.hexdigest()


def of_split(datamodule: ImageDataModule, split: SplitName) -> str:
    """SHA-256 of the labels, and of sixteen evenly spaced images as the encoder sees them."""
    dataset: Any = datamodule.plain(split).dataset
    digest = hashlib.sha256(_bytes(dataset.split.labels))
    places = torch.linspace(0, len(dataset) - 1, min(_NUM_PROBES, len(dataset))).round().long().tolist()
    for place in places:
        images = dataset[place].images
        digest.update(f"{place} {tuple(images.shape)}".encode())
        digest.update(_bytes(images))
    return digest.hexdigest()


def _bytes(value: Tensor) -> Any:
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def _is_plain(value: Any) -> bool:
    return isinstance(value, _SCALARS) or (isinstance(value, tuple) and all(map(_is_plain, value)))
