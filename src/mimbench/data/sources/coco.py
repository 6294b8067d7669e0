"""Images with annotated objects in COCO's format: a folder of images and a JSON file."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from mimbench.data.annotated import AnnotatedSplit, Objects
from mimbench.data.holdout import stratified_holdout
from mimbench.data.images.files import UNREADABLE, FileSplit, to_tensor
from mimbench.data.images.rules import Rules
from mimbench.data.images.unreadable import Damaged
from mimbench.data.source import Source, SplitName
from mimbench.data.sources.coco_annotations import Instances, read_instances


class CocoSplit(FileSplit, AnnotatedSplit):
    """A part of the images of an annotation file.

    Without objects, damaged files are replaced as in each `FileSplit`; with objects they are an error.

    Args:
        index: Indices of the images in the file.
    """

    def __init__(self, folder: Path, instances: Instances, index: Int64[Tensor, " n"], rules: Rules) -> None:
        files = [folder / instances.files[i] for i in index.tolist()]
        super().__init__(files, torch.full((len(index),), -1), rules)
        self.instances, self.index = instances, index
        self.object_names = instances.names

    def identifier(self, i: int) -> str:
        return str(self.file(i))

    def image(self, i: int) -> UInt8[Tensor, "3 h w"]:
        try:
            with PIL.Image.open(self.file(i)) as image:
                pixels = to_tensor(image, self.rules)
        except UNREADABLE as error:
            raise ValueError(f"{self.file(i)} cannot be read ({error}); repair it or remove its entry.") from error
        height, width = self.instances.size(int(self.index[i]))
        if pixels.shape[1:] != (height, width):
            raise ValueError(
                f"{self.file(i)} has {pixels.shape[2]} x {pixels.shape[1]} px, but {self.instances.path} says "
                f"{width} x {height}; one of them is wrong."
            )
        return pixels

    def objects(self, i: int) -> Objects:
        place = int(self.index[i])
        (height, width), entries = self.instances.size(place), self.instances.entries(place)
        masks = [self._mask(entry, height, width) for entry in entries]
        corners = torch.tensor([entry["bbox"] for entry in entries], dtype=torch.float32).view(-1, 4)
        return Objects(
            boxes=torch.cat([corners[:, :2], corners[:, :2] + corners[:, 2:]], dim=1),
            labels=torch.tensor([entry["label"] for entry in entries], dtype=torch.int64),
            masks=torch.from_numpy(np.stack(masks)) if masks else torch.zeros(0, height, width, dtype=torch.bool),
            crowd=torch.tensor([entry["crowd"] for entry in entries], dtype=torch.bool),
        )

    def _mask(self, entry: dict[str, Any], height: int, width: int) -> Bool[np.ndarray, "h w"]:
        from pycocotools import mask as rle  # not needed to train

        outline = entry["segmentation"]
        try:
            _check(outline, height, width)
            if isinstance(outline, list):
                outline = rle.merge(rle.frPyObjects(outline, height, width))
            elif isinstance(outline["counts"], list):
                outline = rle.frPyObjects(outline, height, width)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)  # its, with NumPy 2
                mask = rle.decode(outline).astype(bool)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{self.instances.path}: the segmentation of annotation {entry['id']} cannot be read ({error})."
            ) from error
        if mask.shape != (height, width):
            raise ValueError(
                f"{self.instances.path}: the segmentation of annotation {entry['id']} has {mask.shape[1]} x "
                f"{mask.shape[0]} px, its image {width} x {height}."
            )
        return mask


def _check(outline: Any, height: int, width: int) -> None:
    """Raises ValueError for segmentations for which pycocotools would allocate more than the mask of the image."""
    if isinstance(outline, list):
        if not all(type(value) in (int, float) and abs(value) < 1e9 for polygon in outline for value in polygon):
            raise ValueError("its points are no numbers")
        return
    if list(outline["size"]) != [height, width]:
        raise ValueError(f"its run lengths are of {outline['size']} pixels, its image of {[height, width]}")
    if isinstance(counts := outline["counts"], list):
        if not all(type(count) is int and count >= 0 for count in counts) or sum(counts) != height * width:
            raise ValueError("its run lengths are no counts of pixels that sum up to the image's")
    elif not isinstance(counts, str):
        raise ValueError("its run lengths are neither a list nor text")


class Coco(Source):
    """`root/TRAIN/*`, `root/TEST/*` and `root/annotations/instances_{TRAIN,TEST}.json`.

    COCO's published validation images are the TEST split; "val" is held out of TRAIN. Images without objects are
    included. All annotations are checked here.

    Args:
        train: Folder name of the training images.
        test: Folder name of the published validation images.
        holdout: Fraction of the training images that becomes "val".
        max_damaged: Damaged files allowed per process if images are read without objects.
        min_size: Smallest side of an image in pixels.
        seed: Determines the hold-out. Part of the dataset, not of a run.
    """

    def __init__(
        self,
        root: str | Path,
        train: str = "train2017",
        test: str = "val2017",
        image_size: int = 224,
        holdout: float = 0.01,
        max_damaged: int = 0,
        min_size: int = 16,
        seed: int = 0,
    ) -> None:
        self.root, self.image_size = Path(root), image_size
        self.rules = Rules(Damaged(max_damaged), min_size)
        self.folders = {"train": self.root / train, "test": self.root / test}
        self.instances = {
            key: read_instances(_file(self.root, folder.name), folder) for key, folder in self.folders.items()
        }
        if self.instances["train"].names != self.instances["test"].names:
            raise ValueError(
                f"{self.instances['train'].path} and {self.instances['test'].path} have different categories; "
                "give both the same."
            )
        self._holdout = stratified_holdout(torch.zeros(len(self.instances["train"]), dtype=torch.int64), holdout, seed)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.instances["train"].names

    def split(self, name: SplitName) -> CocoSplit:
        key = "test" if name == "test" else "train"
        index = {
            "train": self._holdout.kept,
            "val": self._holdout.held,
            "test": torch.arange(len(self.instances["test"])),
        }[name]
        return CocoSplit(self.folders[key], self.instances[key], index, self.rules)


def _file(root: Path, name: str) -> Path:
    return root / "annotations" / f"instances_{name}.json"
