"""Number of training images of a source, without a download."""

import math
from pathlib import Path
from typing import Any

from mimbench.data.shards.manifest import MANIFEST
from mimbench.data.shards.source import Shards
from mimbench.data.source import Source
from mimbench.data.sources.digits import Digits
from mimbench.data.sources.fashion import Fashion
from mimbench.data.sources.fashion_mnist import FashionMNIST
from mimbench.data.sources.folder import Folder, class_folders, image_files
from mimbench.data.sources.table import Table
from mimbench.data.sources.torchvision import TorchVision
from mimbench.data.sources.unlabeled import Images
from mimbench.data.synthetic.collages import Collages
from mimbench.data.synthetic.photos import Photos
from mimbench.data.synthetic.scenes import Scenes
from mimbench.data.synthetic.shapes import Shapes

# Number of classes and of training images per class; None if classes have different sizes.
_TORCHVISION = {
    "CIFAR10": (10, 5000),
    "CIFAR100": (100, 500),
    "STL10": (10, 500),
    "Flowers102": (102, 10),
    "Food101": (101, 750),
    "EuroSAT": None,
    "OxfordIIITPet": None,
    "MNIST": None,
    "KMNIST": (10, 6000),
    "SVHN": None,
}

_IMAGENET = (1000, 1_281_167)  # classes and images of ImageNet-1k's train/


def training_size(source: type[Source], **arguments: Any) -> int | None:
    """Number of images in "train" of a source with these constructor arguments; None if it is unknown without the data.

    Existing folders are counted; nothing is downloaded and no image is read.

    Raises:
        ValueError: The arguments are invalid.
    """
    if issubclass(source, Collages | Photos | Scenes | Shapes):
        return source(**arguments).lengths["train"]
    if issubclass(source, Digits | Fashion):
        return len(source(**arguments).split("train"))
    if issubclass(source, FashionMNIST):
        return 10 * _kept(6000, source(**arguments).holdout)
    if issubclass(source, TorchVision):
        known = TorchVision(**arguments)
        if (balanced := _TORCHVISION[known.name]) is None:
            return None
        classes, images = balanced
        return classes * _kept(images, known.holdout)
    if issubclass(source, Folder) and (Path(arguments["root"]) / "train").is_dir():
        return _count(Path(arguments["root"]) / "train", arguments.get("holdout", 0.02))
    if issubclass(source, Images | Table) and Path(arguments["train" if source is Table else "root"]).exists():
        return len(source(**arguments).split("train"))
    if issubclass(source, Shards) and (Path(arguments["root"]) / MANIFEST).is_file():
        return Shards(**arguments).num_train
    return None


def imagenet_size(source: type[Source], **arguments: Any) -> int | None:
    """Number of images in "train" of ImageNet-1k, for a folder or shards of that name; None for others."""
    if not issubclass(source, Folder | Shards) or "imagenet" not in Path(arguments["root"]).name.lower():
        return None
    classes, images = _IMAGENET
    return images - max(classes, math.floor(images * arguments.get("holdout", 0.02) + 0.5))


def _count(folder: Path, holdout: float) -> int:
    total = 0
    for name in class_folders(folder):
        total += _kept(len(image_files(folder / name)), holdout)
    return total


def _kept(images: int, holdout: float) -> int:
    """Number of samples of a class that `stratified_holdout` leaves."""
    return images - max(1, math.floor(images * holdout + 0.5))
