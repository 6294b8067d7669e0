"""COCO's annotation files, validated and stored compactly."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np

Size = tuple[int, int]
_MAX_PIXELS = 1 << 28  # largest number of pixels of an image; a mask takes as many bytes per object


class Instances:
    """Images and objects of one file, ordered by the ids of the images.

    Attributes:
        files: Names of the images.
        names: Classes by label; labels follow the order of COCO's category ids.
    """

    def __init__(self, path: Path, files: list[str], sizes: list[Size], names: tuple[str, ...], entries: list[bytes]):
        self.path, self.files, self.names = path, files, names
        self._sizes = np.array(sizes, np.int64).reshape(-1, 2)
        # Arrays of bytes: millions of Python objects would be copied into every worker.
        self._text = np.frombuffer(b"".join(entries), np.uint8)
        self._ends = np.cumsum([len(entry) for entry in entries])

    def __len__(self) -> int:
        return len(self.files)

    def size(self, i: int) -> Size:
        """Height and width of an image according to the file."""
        height, width = self._sizes[i].tolist()
        return height, width

    def entries(self, i: int) -> list[dict[str, Any]]:
        """id, bbox (x, y, width, height), label, crowd and segmentation of an image's objects."""
        start = int(self._ends[i - 1]) if i else 0
        return json.loads(self._text[start : int(self._ends[i])].tobytes())


def read_instances(path: Path, folder: Path) -> Instances:
    """Reads the annotations of the images in `folder`.

    Raises:
        ValueError: The file or an image is missing, or an entry is invalid; the message names it.
    """
    if not path.is_file():
        raise ValueError(f"There is no file {path}; expected COCO's annotations/instances_NAME.json beside NAME/.")
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder} with the images of {path.name}.")
    try:
        content = json.loads(path.read_bytes())
        images, annotations, categories = (content[key] for key in ("images", "annotations", "categories"))
        by_id = {image["id"]: image for image in images}
        labels = {entry["id"]: str(entry["name"]) for entry in sorted(categories, key=lambda entry: entry["id"])}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path} is no annotation file of COCO's ({type(error).__name__}: {error}); it needs images, annotations "
            "and categories with ids."
        ) from error
    if not labels or not by_id:
        raise ValueError(f"{path} has no {'images' if labels else 'categories'}.")
    order = sorted(by_id)
    sizes = [_size(path, by_id[key]) for key in order]
    _check_files(path, folder, [str(by_id[key]["file_name"]) for key in order])
    label_of = {key: label for label, key in enumerate(labels)}
    found: dict[Any, list[dict[str, Any]]] = {key: [] for key in order}
    for entry in annotations:
        checked = _checked(path, entry, found.keys(), label_of)
        found[entry["image_id"]].append(checked)
    texts = [json.dumps(found[key]).encode() for key in order]
    return Instances(path, [by_id[key]["file_name"] for key in order], sizes, tuple(labels.values()), texts)


def _size(path: Path, image: Mapping[str, Any]) -> Size:
    try:
        height, width = int(image["height"]), int(image["width"])
        if min(height, width) < 1 or height * width > _MAX_PIXELS or not isinstance(image["file_name"], str):
            raise ValueError(f"height and width must be above 0, their product at most {_MAX_PIXELS}, file_name a name")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: image {image.get('id')} is broken ({type(error).__name__}: {error}).") from error
    return height, width


def _check_files(path: Path, folder: Path, names: list[str]) -> None:
    for name in names:
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts or "\0" in name:
            raise ValueError(f"{path}: the file name {name!r} leads out of {folder}; expected names within it.")
    present = {entry.name for entry in os.scandir(folder)}
    missing = [name for name in names if name not in present and not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"{folder / missing[0]} is missing, with {len(missing) - 1} more of the {len(names)} images in {path}; "
            "unpack them there."
        )


def _checked(path: Path, entry: Any, images: Any, label_of: Mapping[Any, int]) -> dict[str, Any]:
    """The used values of an annotation; raises ValueError with file and annotation if it is invalid."""
    try:
        where = f"{path}: annotation {entry['id']}"
        image, category = entry["image_id"], entry["category_id"]
        box, outline = [float(value) for value in entry["bbox"]], entry["segmentation"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: annotation {_id(entry)} is broken ({type(error).__name__}: {error}).") from error
    if image not in images:
        raise ValueError(f"{where} belongs to image {image}, which the file does not have.")
    if category not in label_of:
        raise ValueError(f"{where} has class id {category}, which is none of the file's {len(label_of)} categories.")
    if len(box) != 4 or not all(map(math.isfinite, box)) or min(box[2:]) < 0:
        raise ValueError(f"{where} has the box {box}; expected x, y, width and height in pixels.")
    if not _is_outline(outline):
        raise ValueError(f"{where} has no outline; expected polygons of three or more points, or run lengths.")
    crowd = bool(entry.get("iscrowd", 0))
    return {"id": entry["id"], "bbox": box, "label": label_of[category], "crowd": crowd, "segmentation": outline}


def _is_outline(outline: Any) -> bool:
    if isinstance(outline, dict):
        return {"counts", "size"} <= outline.keys()
    return (
        isinstance(outline, list)
        and bool(outline)
        and all(isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in outline)
    )


def _id(entry: Any) -> Any:
    return entry.get("id") if isinstance(entry, dict) else entry
