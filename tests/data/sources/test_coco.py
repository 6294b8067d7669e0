"""COCO's format: what is read, and how everything that is broken is named."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from pycocotools import mask as rle

from mimbench.data import Coco, ImageDataModule
from mimbench.data.source import SplitName

SQUARE = [2, 3, 10, 3, 10, 9, 2, 9]
CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}]
NAMES: tuple[SplitName, ...] = ("train", "val", "test")
Change = Callable[[dict[str, Any]], Any]


def lengths(mask: np.ndarray) -> dict[str, Any]:
    """Run lengths as COCO's files have them, columns first, beginning with zeros."""
    flat = mask.flatten(order="F").astype(int)
    runs, value = [0], 0
    for pixel in flat:
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return {"size": list(mask.shape), "counts": runs}


CROWD = np.zeros((20, 30), bool)
CROWD[5:15, 12:28] = True


def contents(num_images: int) -> dict[str, Any]:
    """Two objects, one of them a crowd, in the first image, one in the second, none in the others."""
    images = [
        {"id": 100 + i, "file_name": f"{100 + i}.png", "height": 20, "width": 30} for i in reversed(range(num_images))
    ]
    common = {"iscrowd": 0, "area": 48.0, "bbox": [2, 3, 8, 6]}
    packed = rle.encode(np.asfortranarray(CROWD))
    annotations = [
        {"id": 7, "image_id": 100, "category_id": 18, "segmentation": [SQUARE], **common},
        {
            "id": 8,
            "image_id": 100,
            "category_id": 3,
            "iscrowd": 1,
            "bbox": [12, 5, 16, 10],
            "segmentation": lengths(CROWD),
        },
        {"id": 9, "image_id": 101, "category_id": 3, "segmentation": [SQUARE, [20, 1, 25, 1, 25, 6]], **common},
    ]
    compressed = {"size": [20, 30], "counts": packed["counts"].decode()}
    annotations += [{"id": 10, "image_id": 101, "category_id": 3, "segmentation": compressed, **common}]
    return {"images": images, "annotations": annotations, "categories": CATEGORIES}


def write(root: Path, name: str, num_images: int, change: Change | None = None) -> None:
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / name).mkdir()
    content = copy.deepcopy(contents(num_images))
    for image in content["images"]:
        pixels = np.full((20, 30, 3), image["id"], np.uint8)
        PIL.Image.fromarray(pixels).save(root / name / image["file_name"])
    if change is not None:
        change(content)
    (root / "annotations" / f"instances_{name}.json").write_text(json.dumps(content))


def coco(root: Path, change: Change | None = None, **options: Any) -> Coco:
    write(root, "train2017", 6)
    write(root, "val2017", 3, change)
    return Coco(root, **{"image_size": 16, "holdout": 0.3, "min_size": 4} | options)


def test_objects_are_read_from_polygons_and_run_lengths(tmp_path: Path) -> None:
    split = coco(tmp_path).split("test")
    assert split.object_names == ("car", "dog"), "in the order of their ids"
    objects = split.objects(0)
    assert objects.boxes.tolist() == [[2, 3, 10, 9], [12, 5, 28, 15]]
    assert objects.labels.tolist() == [1, 0]
    assert objects.crowd.tolist() == [False, True]
    rows, columns = objects.masks[0].nonzero().unbind(1)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (3, 9, 2, 10)
    assert torch.equal(objects.masks[1], torch.from_numpy(CROWD))
    several = split.objects(1)
    assert torch.equal(several.masks[1], torch.from_numpy(CROWD)), "compressed run lengths"
    assert several.masks[0].sum() > objects.masks[0].sum(), "all polygons count"


def test_a_image_without_objects_has_none(tmp_path: Path) -> None:
    objects = coco(tmp_path).split("test").objects(2)
    assert len(objects) == 0
    assert objects.boxes.shape == (0, 4)
    assert objects.masks.shape == (0, 20, 30)


def test_published_validation_is_test_and_val_comes_from_train(tmp_path: Path) -> None:
    source = coco(tmp_path)
    names = {name: [Path(source.split(name).identifier(i)) for i in range(len(source.split(name)))] for name in NAMES}
    assert [len(names[name]) for name in NAMES] == [4, 2, 3]
    assert {path.parent.name for path in names["test"]} == {"val2017"}
    assert {path.parent.name for path in names["train"] + names["val"]} == {"train2017"}
    assert not set(names["train"]) & set(names["val"])
    again = Coco(tmp_path, image_size=16, holdout=0.3, min_size=4).split("val")
    assert [Path(again.identifier(i)) for i in range(2)] == names["val"]


def test_images_stay_with_their_objects_in_every_split(tmp_path: Path) -> None:
    source = coco(tmp_path)
    for name in NAMES:
        split = source.split(name)
        for i in range(len(split)):
            number = int(split.image(i)[0, 0, 0])
            assert len(split.objects(i)) == (2 if number in (100, 101) else 0)


def test_they_can_be_pre_trained_on(tmp_path: Path) -> None:
    data = ImageDataModule(coco(tmp_path), batch_size=2)
    batch = next(iter(data.train_dataloader()))
    assert batch.images.shape == (2, 3, 16, 16)
    assert batch.labels.tolist() == [-1, -1], "images have no class"


BROKEN: dict[str, tuple[Change, str]] = {
    "class": (lambda c: c["annotations"][0].update(category_id=99), "annotation 7 has class id 99"),
    "image": (lambda c: c["annotations"][1].update(image_id=5), "annotation 8 belongs to image 5"),
    "box": (lambda c: c["annotations"][0].update(bbox=[1, 2, 3]), "annotation 7 has the box"),
    "negative": (lambda c: c["annotations"][0].update(bbox=[1, 2, -3, 4]), "annotation 7 has the box"),
    "number": (lambda c: c["annotations"][0].update(bbox=None), "annotation 7 is broken"),
    "missing": (lambda c: c["annotations"][2].pop("segmentation"), "annotation 9 is broken"),
    "points": (lambda c: c["annotations"][0].update(segmentation=[[1, 2, 3]]), "annotation 7 has no outline"),
    "empty": (lambda c: c["annotations"][0].update(segmentation=[]), "annotation 7 has no outline"),
    "size": (lambda c: c["images"][0].pop("height"), "image 102 is broken"),
    "key": (lambda c: c.pop("categories"), "is no annotation file"),
    "none": (lambda c: c.update(categories=[]), "has no categories"),
    "entry": (lambda c: c["annotations"].append("x"), "annotation x is broken"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named_with_its_file(tmp_path: Path, case: str) -> None:
    change, message = BROKEN[case]
    with pytest.raises(ValueError, match=message) as error:
        coco(tmp_path, change)
    assert str(tmp_path / "annotations" / "instances_val2017.json") in str(error.value)


@pytest.mark.parametrize(
    "outline",
    [
        {"size": [20, 30], "counts": 5},
        {"size": [20, 30], "counts": [500, 9]},
        {"size": [3, 3], "counts": "09"},
        [["a", 1, 2, 3, 4, 5]],
    ],
)
def test_an_outline_that_cannot_be_read_is_named_when_it_is_needed(tmp_path: Path, outline: Any) -> None:
    split = coco(tmp_path, lambda c: c["annotations"][0].update(segmentation=outline)).split("test")
    with pytest.raises(ValueError, match="segmentation of annotation 7"):
        split.objects(0)


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    coco(tmp_path)
    path = tmp_path / "annotations" / "instances_train2017.json"
    path.write_text(path.read_text()[:50])
    with pytest.raises(ValueError, match=re.escape(f"{path} is no annotation file")):
        Coco(tmp_path)


def test_missing_files_and_images_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"There is no file .*instances_train2017\.json"):
        Coco(tmp_path)
    coco(tmp_path)
    (tmp_path / "val2017" / "101.png").unlink()
    with pytest.raises(ValueError, match=r"val2017/101\.png is missing, with 0 more of the 3 images"):
        Coco(tmp_path)


def test_categories_must_agree(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="have different categories"):
        coco(tmp_path, lambda c: c["categories"][0].update(name="cat"))


def test_damaged_images_are_errors_with_their_objects_and_replaced_without(tmp_path: Path) -> None:
    split = coco(tmp_path, max_damaged=1).split("test")
    (tmp_path / "val2017" / "100.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"val2017/100\.png cannot be read"):
        split.image(0)
    assert int(split[0][0][0, 0, 0]) == 101


def test_a_image_of_another_size_than_the_file_says_is_named(tmp_path: Path) -> None:
    split = coco(tmp_path, lambda c: c["images"][2].update(width=31)).split("test")
    with pytest.raises(ValueError, match=r"100\.png has 30 x 20 px, but .*instances_val2017\.json says 31 x 20"):
        split.image(0)
