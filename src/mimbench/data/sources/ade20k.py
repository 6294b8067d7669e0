"""Folders of images and maps of classes, in ADE20K's layout."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS

from mimbench.core.counter_rng import permutation
from mimbench.data.annotated import IGNORED, AnnotatedSplit
from mimbench.data.images.files import UNREADABLE, FileSplit, to_tensor
from mimbench.data.images.rules import Rules
from mimbench.data.images.unreadable import Damaged
from mimbench.data.source import Source, SplitName
from mimbench.data.sources.folder import listed

_FOLDERS = {"train": ("training", "train"), "test": ("validation", "val")}
_NAMES = "objectInfo150.txt"  # comes with ADE20K


class ClassMapSplit(FileSplit, AnnotatedSplit):
    """Image files with one PNG each, whose values are classes."""

    def __init__(
        self, files: Sequence[Path], maps: Sequence[Path], names: tuple[str, ...], zero_is_other: bool, rules: Rules
    ) -> None:
        super().__init__(files, torch.full((len(files),), -1), rules)
        self._maps = np.array([os.fsencode(file) for file in maps])
        self.class_names, self.zero_is_other = names, zero_is_other

    def identifier(self, i: int) -> str:
        return os.fsdecode(bytes(self._maps[i]))

    def image(self, i: int) -> UInt8[Tensor, "3 h w"]:
        try:
            with PIL.Image.open(self.file(i)) as image:
                return to_tensor(image, self.rules)
        except UNREADABLE as error:
            raise ValueError(f"{self.file(i)} cannot be read ({error}); repair it or remove it and its map.") from error

    def classes(self, i: int) -> UInt8[Tensor, "h w"]:
        name = self.identifier(i)
        try:
            with PIL.Image.open(name) as file:
                values = np.array(file)
            with PIL.Image.open(self.file(i)) as image:
                expected = (image.height, image.width)
        except UNREADABLE as error:
            raise ValueError(f"{name} cannot be read ({error}); repair it or remove it and its image.") from error
        if values.dtype != np.uint8 or values.ndim != 2:
            raise ValueError(f"{name} is no map of classes; expected a PNG of one channel with 8 bits.")
        if values.shape != expected:
            raise ValueError(f"{name} has {values.shape} pixels (rows, columns) and its image {expected}; repair it.")
        if self.zero_is_other:
            values = values - np.uint8(1)  # 0 becomes 255, which is ignored; 255 becomes 254, which is no class
            values[values == IGNORED - 1] = IGNORED
        known = values[values != IGNORED]
        if len(known) and known.max() >= len(self.class_names):
            worst = int(known.max()) + int(self.zero_is_other)
            raise ValueError(
                f"{name} has a pixel of value {worst}, but the {len(self.class_names)} classes end at "
                f"{len(self.class_names) - 1 + int(self.zero_is_other)}; repair it or change num_classes."
            )
        return torch.from_numpy(values)


class ADE20K(Source):
    """`images/training/*.jpg` with `annotations/training/*.png`, and the same for validation/.

    Folders may be called train/ and val/. The published validation/ is the TEST split; "val" is held out of training/.

    Args:
        holdout: Fraction of training/ that becomes "val", at least one image.
        num_classes: Number of classes.
        zero_is_other: Whether the value 0 is ignored and classes count from 1, as in ADE20K's benchmark, or from 0.
            255 is always ignored.
        max_damaged: Damaged images allowed per process, in pre-training only.
        seed: Determines the hold-out. Part of the dataset, not of a run.

    Raises:
        ValueError: Folders are missing or empty, or images and maps do not correspond.
    """

    def __init__(
        self,
        root: str | Path,
        image_size: int = 224,
        holdout: float = 0.02,
        num_classes: int = 150,
        zero_is_other: bool = True,
        max_damaged: int = 10,
        seed: int = 0,
    ) -> None:
        self.root, self.image_size, self.zero_is_other = Path(root), image_size, zero_is_other
        if not 0 < holdout < 1:
            raise ValueError(f"holdout is {holdout}; it must lie strictly between 0 and 1.")
        if not 1 <= num_classes < IGNORED:
            raise ValueError(f"num_classes is {num_classes}; it must be 1 to {IGNORED - 1}.")
        self._names = class_names(self.root, num_classes)
        self._rules = Rules(Damaged(max_damaged))
        self._pairs = {name: pairs(self.root, folders) for name, folders in _FOLDERS.items()}
        count = len(self._pairs["train"])
        held = max(1, round(holdout * count))
        if held >= count:
            raise ValueError(f"{self.root} has {count} training images, too few to hold out {held}; add some.")
        order = permutation(count, seed, "holdout")
        self._index = {"val": sorted(order[:held].tolist()), "train": sorted(order[held:].tolist())}

    @property
    def classes(self) -> tuple[str, ...]:
        return self._names

    def split(self, name: SplitName) -> ClassMapSplit:
        found = self._pairs["test" if name == "test" else "train"]
        chosen = found if name == "test" else [found[i] for i in self._index[name]]
        files, maps = zip(*chosen, strict=True)
        return ClassMapSplit(files, maps, self._names, self.zero_is_other, self._rules)


def pairs(root: Path, folders: Sequence[str]) -> list[tuple[Path, Path]]:
    """Images and their maps, sorted by name."""
    found = [name for name in folders if (root / "images" / name).is_dir()]
    if not found:
        raise ValueError(
            f"There is no folder {root / 'images' / folders[0]}; expected ADE20K's layout, images/ and annotations/ "
            "with training/ and validation/."
        )
    images, maps = root / "images" / found[0], root / "annotations" / found[0]
    if not maps.is_dir():
        raise ValueError(f"There is no folder {maps}; expected a PNG for every image of {images}.")
    by_name = {entry.stem: entry for entry in sorted(images.iterdir()) if entry.name.lower().endswith(IMG_EXTENSIONS)}
    annotated = {entry.stem: entry for entry in maps.iterdir() if entry.suffix.lower() == ".png"}
    if not by_name:
        raise ValueError(f"{images} has no images ({' '.join(IMG_EXTENSIONS)}).")
    if missing := sorted(by_name.keys() - annotated.keys()):
        raise ValueError(f"{by_name[missing[0]]} has no map in {maps}; missing are {listed(missing, 3)}.")
    if alone := sorted(annotated.keys() - by_name.keys()):
        raise ValueError(f"{annotated[alone[0]]} has no image in {images}; missing are {listed(alone, 3)}.")
    return [(by_name[name], annotated[name]) for name in by_name]


def class_names(root: Path, num_classes: int) -> tuple[str, ...]:
    """Names from ADE20K's table if it is beside the folders, otherwise "class 1", "class 2" ..."""
    table = root / _NAMES
    if table.is_file():
        lines = table.read_text(encoding="utf-8", errors="replace").splitlines()[1:]
        names = tuple(line.split("\t")[-1].split(",")[0].strip() for line in lines if "\t" in line)
        if len(names) == num_classes:
            return names
    return tuple(f"class {number}" for number in range(1, num_classes + 1))
