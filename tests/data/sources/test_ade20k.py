"""Folders in ADE20K's layout."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from mimbench.data import ADE20K, ImageDataModule


@pytest.fixture
def root(tmp_path: Path) -> Path:
    draws = np.random.default_rng(0)
    for folder, count in (("training", 10), ("validation", 3)):
        for kind in ("images", "annotations"):
            (tmp_path / kind / folder).mkdir(parents=True)
        for i in range(count):
            image = draws.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8)
            PIL.Image.fromarray(image).save(tmp_path / "images" / folder / f"p{i}.jpg")
            classes = draws.integers(0, 6, (20 + i, 30), dtype=np.uint8)
            PIL.Image.fromarray(classes).save(tmp_path / "annotations" / folder / f"p{i}.png")
    return tmp_path


def test_validation_is_the_test_split_and_val_is_held_out_of_training(root: Path) -> None:
    source = ADE20K(root, holdout=0.2, num_classes=5)
    names = {name: [source.split(name).file(i).stem for i in range(len(source.split(name)))] for name in SPLITS}
    assert len(names["val"]) == 2
    assert sorted(names["train"] + names["val"]) == sorted(f"p{i}" for i in range(10))
    assert names["test"] == ["p0", "p1", "p2"]
    assert ADE20K(root, holdout=0.2, num_classes=5, seed=1).split("val").file(0).parent.name == "training"


SPLITS = ("train", "val", "test")


def test_zero_is_ignored_and_classes_count_from_one(root: Path) -> None:
    split = ADE20K(root, num_classes=5).split("test")
    raw = torch.from_numpy(np.array(PIL.Image.open(root / "annotations/validation/p1.png")))
    found = split.classes(1)
    assert (found[raw == 0] == 255).all()
    assert torch.equal(found[raw > 0], raw[raw > 0] - 1)
    assert torch.equal(ADE20K(root, num_classes=6, zero_is_other=False).split("test").classes(1), raw)
    assert split.image(1).shape == (3, 21, 30)


def test_255_is_ignored_as_well(root: Path) -> None:
    path = root / "annotations/validation/p0.png"
    PIL.Image.fromarray(np.full((20, 30), 255, np.uint8)).save(path)
    assert (ADE20K(root, num_classes=5).split("test").classes(0) == 255).all()


def test_the_folders_of_other_data_may_be_called_train_and_val(root: Path) -> None:
    for kind in ("images", "annotations"):
        (root / kind / "training").rename(root / kind / "train")
        (root / kind / "validation").rename(root / kind / "val")
    assert len(ADE20K(root, num_classes=5).split("test")) == 3


def test_class_names_are_ade20ks_own_where_its_table_lies_there(root: Path) -> None:
    assert ADE20K(root, num_classes=5).classes[0] == "class 1"
    rows = [f"{i}\t0.1\t1\t1\tname{i}, other" for i in range(1, 6)]
    (root / "objectInfo150.txt").write_text("\n".join(["Idx\tRatio\tTrain\tVal\tName", *rows]))
    assert ADE20K(root, num_classes=5).classes == ("name1", "name2", "name3", "name4", "name5")


def test_a_datamodule_loads_them_without_labels(root: Path) -> None:
    data = ImageDataModule(ADE20K(root, 16, num_classes=5), batch_size=4)
    batch = next(iter(data.train_dataloader()))
    assert batch.images.shape == (4, 3, 16, 16)
    assert (batch.labels == -1).all()


def no_map(root: Path) -> None:
    (root / "annotations/training/p3.png").unlink()


def no_image(root: Path) -> None:
    (root / "images/training/p3.jpg").unlink()


def no_folder(root: Path) -> None:
    (root / "images/validation").rename(root / "images/elsewhere")


@pytest.mark.parametrize(
    ("spoil", "message"), [(no_map, r"p3\.jpg has no map"), (no_image, r"p3\.png has no image"), (no_folder, "validat")]
)
def test_incomplete_folders_are_refused(root: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(root)
    with pytest.raises(ValueError, match=message):
        ADE20K(root, num_classes=5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((20, 30), 6, np.uint8), r"p0\.png has a pixel of value 6, but the 5 classes end at 5"),
        (np.full((20, 29), 1, np.uint8), r"p0\.png has \(20, 29\) pixels"),
        (np.zeros((20, 30, 3), np.uint8), r"p0\.png is no map of classes"),
        (None, r"p0\.png cannot be read"),
    ],
)
def test_a_broken_map_is_named(root: Path, values: np.ndarray | None, message: str) -> None:
    path = root / "annotations/validation/p0.png"
    if values is None:
        path.write_bytes(b"no image")
    else:
        PIL.Image.fromarray(values).save(path)
    with pytest.raises(ValueError, match=message):
        ADE20K(root, num_classes=5).split("test").classes(0)


def test_a_broken_image_is_named(root: Path) -> None:
    (root / "images/validation/p2.jpg").write_bytes(b"no image")
    split = ADE20K(root, num_classes=5).split("test")
    with pytest.raises(ValueError, match=r"p2\.jpg cannot be read"):
        split.image(2)


@pytest.mark.parametrize("wrong", [{"holdout": 1.0}, {"num_classes": 255}, {"holdout": 0.97}])
def test_settings_that_cannot_be_are_refused(root: Path, wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"holdout|num_classes|hold out"):
        ADE20K(root, **({"num_classes": 5} | wrong))  # pyright: ignore[reportArgumentType]
