"""How many pictures a source trains on, told without a download."""

import math
import os
from pathlib import Path
from typing import Any

from torchvision.datasets.folder import IMG_EXTENSIONS

from mimbench.data.collages import Collages
from mimbench.data.digits import Digits
from mimbench.data.folder import Folder, class_folders
from mimbench.data.packed import MANIFEST
from mimbench.data.photos import Photos
from mimbench.data.scenes import Scenes
from mimbench.data.shapes import Shapes
from mimbench.data.shards import Shards
from mimbench.data.source import Source
from mimbench.data.torchvision import TorchVision

# Classes and training pictures per class; all are balanced.
_TORCHVISION = {
    "CIFAR10": (10, 5000),
    "CIFAR100": (100, 500),
    "STL10": (10, 500),
    "Flowers102": (102, 10),
    "Food101": (101, 750),
}


def training_size(source: type[Source], **arguments: Any) -> int | None:
    """Pictures in the "train" split of a source with these constructor arguments; None where only the data could tell.

    Folders are counted where they exist; nothing is downloaded and no picture is read.

    Raises:
        ValueError: The arguments are refused.
    """
    if issubclass(source, Collages | Photos | Scenes | Shapes):
        return source(**arguments).lengths["train"]
    if issubclass(source, Digits):
        return len(source(**arguments).split("train"))
    if issubclass(source, TorchVision):
        known = TorchVision(**arguments)
        classes, pictures = _TORCHVISION[known.name]
        return classes * _kept(pictures, known.holdout)
    if issubclass(source, Folder) and (Path(arguments["root"]) / "train").is_dir():
        return _count(Path(arguments["root"]) / "train", arguments.get("holdout", 0.02))
    if issubclass(source, Shards) and (Path(arguments["root"]) / MANIFEST).is_file():
        return Shards(**arguments).num_train
    return None


def _count(folder: Path, holdout: float) -> int:
    total = 0
    for name in class_folders(folder):
        pictures = sum(entry.name.lower().endswith(IMG_EXTENSIONS) for entry in os.scandir(folder / name))
        total += _kept(pictures, holdout)
    return total


def _kept(pictures: int, holdout: float) -> int:
    """What `stratified_holdout` leaves of a class."""
    return pictures - max(1, math.floor(pictures * holdout + 0.5))
