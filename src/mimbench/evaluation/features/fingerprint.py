"""Keys of cached features, which change with the weights and settings of the encoder and with the images."""

import hashlib
from typing import Any

import torch
from torch import Tensor, nn

from mimbench.data import ImageDataModule
from mimbench.data.source import SplitName

_FORMAT = "1"  # version of the files; a change invalidates all older ones
_NUM_PROBES = 16
_SCALARS = (bool, int, float, str)


def key(encoder: nn.Module, datamodule: ImageDataModule, split: SplitName) -> str:
    """Key of the features of a split, 16 hex digits."""
    digest = hashlib.sha256(f"{_FORMAT} {split} {of_module(encoder)} {of_split(datamodule, split)}".encode())
    return digest.hexdigest()[:16]


def of_module(module: nn.Module) -> str:
    """SHA-256 of the weights and settings of a module by name.

    Settings are included, since the shapes of weights do not show, for example, the number of heads.
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
    """SHA-256 of the labels and of 16 evenly spaced images after the evaluation transform."""
    dataset: Any = datamodule.plain(split).dataset
    digest = hashlib.sha256(_bytes(dataset.split.labels))
    positions = torch.linspace(0, len(dataset) - 1, min(_NUM_PROBES, len(dataset))).round().long().tolist()
    for position in positions:
        images = dataset[position].images
        digest.update(f"{position} {tuple(images.shape)}".encode())
        digest.update(_bytes(images))
    return digest.hexdigest()


def _bytes(value: Tensor) -> Any:
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def _is_plain(value: Any) -> bool:
    return isinstance(value, _SCALARS) or (isinstance(value, tuple) and all(map(_is_plain, value)))
