"""Folders of images by class, in ImageNet's layout."""

import logging
import os
from pathlib import Path
from typing import NamedTuple

import torch
from torchvision.datasets.folder import IMG_EXTENSIONS

from mimbench.core.files import walk
from mimbench.data.holdout import describe_tiny, stratified_holdout
from mimbench.data.images.files import FileSplit, subset
from mimbench.data.images.rules import Rules
from mimbench.data.images.unreadable import Damaged
from mimbench.data.source import Source, SplitName

log = logging.getLogger(__name__)
EXTENSIONS = (*IMG_EXTENSIONS, ".gif")


class Folder(Source):
    """`root/train/CLASS/*` and `root/val/CLASS/*`. val/ is the TEST split; "val" is held out of train/.

    Without labels, all images in root/train, or in root if it has no train/, and in their subfolders; hidden ones are
    left out. Then there is no test split, and protocols that need labels are refused before training: evaluate the
    encoder on labeled data (`mimbench evaluate RUN data=...`).

    Raises ValueError for missing or empty folders, classes that differ between train/ and val/, and images smaller than
    min_size (in up to 4,096 files per folder).

    Args:
        holdout: Fraction of every class of train/ that becomes "val".
        max_damaged: Damaged files allowed per process.
        min_size: Smallest side of an image in pixels; take the patch size.
        seed: Determines the hold-out. Part of the dataset, not of a run.
        labels: Whether images have the label of their class folder.
        upright: Whether images are rotated and mirrored as the orientation in their EXIF data says.
    """

    def __init__(
        self,
        root: str | Path,
        image_size: int = 224,
        holdout: float = 0.02,
        max_damaged: int = 10,
        min_size: int = 16,
        seed: int = 0,
        labels: bool = True,
        upright: bool = False,
    ) -> None:
        self.root, self.image_size, self.holdout, self.seed = Path(root), image_size, holdout, seed
        rules = Rules(Damaged(max_damaged), min_size, upright)
        if labels:
            self._classes, self._train, self._test = read_layout(self.root, rules)
        else:
            self._classes, self._train, self._test = (), read_unlabeled(self.root, rules), None
        self._holdout = stratified_holdout(self._train.labels, holdout, seed, self._classes)
        if labels and (warning := describe_tiny(len(self._holdout.held), str(self.root))):
            log.warning(warning)

    @property
    def classes(self) -> tuple[str, ...]:
        return self._classes

    def split(self, name: SplitName) -> FileSplit:
        if name == "test":
            if self._test is None:
                raise ValueError(f"The images of {self.root} have no labels and no test split; evaluate on other data.")
            return self._test
        return subset(self._train, self._holdout.held if name == "val" else self._holdout.kept)


def read_unlabeled(root: Path, rules: Rules) -> FileSplit:
    """All images in train/, or in the folder if it has none, with labels of -1.

    Raises:
        ValueError: The folder does not exist or has no images, or one is too small or not supported.
    """
    if not root.is_dir():
        raise ValueError(f"There is no folder {root}; set data.source.root to a folder of images.")
    part = root / "train" if (root / "train").is_dir() else root
    files = sorted(f"{folder}/{name}" for folder, _, names in walk(part) for name in names if is_image(name))
    if not files:
        raise ValueError(f"{part} and the folders below it have no images ({' '.join(EXTENSIONS)}).")
    if part != root:
        log.warning("%s: only the images of train/ are used, so that others remain for evaluation.", root)
    split = FileSplit(files, torch.full((len(files),), -1), rules)
    split.check_headers()
    return split


class Layout(NamedTuple):
    """Classes and files of a folder in ImageNet's layout."""

    classes: tuple[str, ...]
    train: FileSplit
    val: FileSplit


def read_layout(root: Path, rules: Rules) -> Layout:
    """Classes and files of train/ and val/; raises ValueError for errors that are found without decoding."""
    folders = {name: class_folders(root / name) for name in ("train", "val")}
    classes = tuple(folders["train"])
    if differing := sorted(set(folders["train"]) ^ set(folders["val"])):
        where = [f"{name} (only in {'train' if name in folders['train'] else 'val'}/)" for name in differing]
        raise ValueError(f"{root}: train/ and val/ must have the same classes; they differ in {listed(where)}.")
    return Layout(classes, *(scan(root / name, classes, rules) for name in ("train", "val")))


def class_folders(folder: Path) -> list[str]:
    """Names of the class folders, sorted."""
    if not folder.is_dir():
        raise ValueError(
            f"There is no folder {folder}; expected train/ and val/ with one folder per class. For images without "
            "labels or without a test part choose data=images, for a table of files data=table."
        )
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise ValueError(
            f"{folder} has no class folders, so its images have no labels; expected CLASS/image.jpg. To pre-train "
            "without labels choose data=images."
        )
    return names


def scan(folder: Path, classes: tuple[str, ...], rules: Rules) -> FileSplit:
    """Sorted image files of the class folders; warns of images in nested folders, which are not used."""
    files, labels = list[str](), list[int]()
    for label, name in enumerate(classes):
        found = image_files(folder / name)
        if not found:
            raise ValueError(f"{folder / name} has no images ({' '.join(EXTENSIONS)}).")
        files += found
        labels += [label] * len(found)
    _warn_of_unused(folder, classes)
    split = FileSplit(files, torch.tensor(labels), rules)
    split.check_headers()
    return split


def image_files(folder: Path) -> list[str]:
    """Sorted paths of the image files in a folder without hidden ones; links, including broken ones, are files."""
    return sorted(entry.path for entry in os.scandir(folder) if is_image(entry.name))


def is_image(name: str) -> bool:
    """Whether a file has the name of an image and is not hidden."""
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


def _warn_of_unused(folder: Path, classes: tuple[str, ...]) -> None:
    entries = [entry for name in classes for entry in os.scandir(folder / name) if not entry.name.startswith(".")]
    unused = [entry for entry in entries if not is_image(entry.name)]
    nested = [entry.path for entry in unused if entry.is_dir()]
    number = sum(is_image(name) for path in nested for _, _, names in os.walk(path) for name in names)
    if number:
        log.warning(
            "%s: %d images lie in folders within class folders, such as %s, and are not used; only CLASS/IMAGE is.",
            folder,
            number,
            min(nested),
        )
    if others := sorted(entry.path for entry in unused if entry.is_file()):
        log.warning(
            "%s: %d files are not used, such as %s; images are %s.",
            folder,
            len(others),
            others[0],
            " ".join(EXTENSIONS),
        )


def listed(names: list[str], at_most: int = 8) -> str:
    rest = len(names) - at_most
    return ", ".join(names[:at_most]) + (f" and {rest} more" if rest > 0 else "")
