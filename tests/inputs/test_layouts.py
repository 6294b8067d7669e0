"""Folders and tables as users have them: labels are those of an independent listing, or the folder is refused."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mimbench.data import Source
from mimbench.data.shards.pack import pack
from mimbench.data.shards.source import Shards
from mimbench.data.sources.folder import Folder
from mimbench.data.sources.table import Table
from mimbench.data.sources.unlabeled import Images

CLASSES = ("cat", "dog")
Change = Callable[[Path], Any]


def write(path: Path, number: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes with six training and three test images each."""
    root = tmp_path / "images"
    for part, count in (("train", 6), ("val", 3)):
        for label, name in enumerate(CLASSES):
            for number in range(count):
                write(root / part / name / f"{number}.png", 100 * label + number)
    return root


def move(source: str, destination: str) -> Change:
    return lambda root: (root / source).rename(root / destination)


def renamed_class(name: str) -> Change:
    return lambda root: [(root / part / "cat").rename(root / part / name) for part in ("train", "val")]


def remove(part: str) -> Change:
    def change(root: Path) -> None:
        for path in sorted((root / part).rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        (root / part).rmdir()

    return change


def read_only(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


# What is used: labels are compared with an independent listing of CLASS/IMAGE.
USED: dict[str, Change] = {
    "nothing else": lambda root: None,
    "a name with spaces": move("train/cat/0.png", "train/cat/my first cat.png"),
    "a name with = and commas": move("train/cat/0.png", "train/cat/a=1,b=2.png"),
    "a name with quotes": move("train/cat/0.png", 'train/cat/"it\'s".png'),
    "a name with a line break": move("train/cat/0.png", "train/cat/a\nb.png"),
    "a name in Unicode": move("train/cat/0.png", "train/cat/Kätzchen 猫.png"),
    "a class with spaces": renamed_class("big cat"),
    "a class with = and commas": renamed_class("a=1,b"),
    "a class in Unicode": renamed_class("猫"),
    "hidden files": lambda root: (write(root / "train/cat/.h.png"), (root / "train/.cache").mkdir()),
    "files of systems": lambda root: [
        (root / f"train/{n}").write_bytes(b"x") for n in ("cat/Thumbs.db", "cat/._0.png")
    ],
    "a link to an image": lambda root: (root / "train/cat/9.png").symlink_to(root / "train/cat/1.png"),
    "a link to a class": lambda root: [
        ((root / part / "dog").rename(root / f"{part}-dog"), (root / part / "dog").symlink_to(root / f"{part}-dog"))
        for part in ("train", "val")
    ],
    "a link to the folder": lambda root: (root.rename(root.parent / "there"), root.symlink_to(root.parent / "there")),
    "capital extensions": move("train/cat/0.png", "train/cat/0.PNG"),
    "files beside the classes": lambda root: (root / "train/README.txt").write_text("hello"),
    "read-only folders": read_only,
}

REFUSED: dict[str, tuple[Change, str]] = {
    "no folder": (lambda root: root.rename(root.parent / "x"), "There is no folder"),
    "no train": (remove("train"), "expected train/ and val/ with one folder per class"),
    "no val": (remove("val"), "For images without labels or without a test part choose data=images"),
    "no classes": (lambda root: [remove(f"train/{name}")(root) for name in CLASSES], "has no class folders"),
    "an empty class": (
        lambda root: [(root / part / "owl").mkdir() for part in ("train", "val")],
        "owl has no images (.jpg",
    ),
    "a class only in val": (lambda root: write(root / "val/owl/0.png"), "owl (only in val/)"),
    "a class only in train": (lambda root: write(root / "train/owl/0.png"), "owl (only in train/)"),
    "a class with one image": (
        lambda root: [write(root / part / "owl/0.png") for part in ("train", "val")],
        "owl",
    ),
    "a class of nested folders": (
        lambda root: [write(root / part / "owl/snowy/0.png") for part in ("train", "val")],
        "owl has no images",
    ),
    "a file instead of a folder": (
        lambda root: (remove("val")(root), (root / "val").write_text("")),
        "There is no folder",
    ),
}


def labels_of(source: Source) -> dict[str, str]:
    """Class by path of every image of the three splits."""
    found = {}
    for name in ("train", "val", "test"):
        split: Any = source.split(name)
        found |= {str(split.file(i)): source.classes[int(split.labels[i])] for i in range(len(split))}
        for i in range(len(split)):
            expected = np.asarray(Image.open(split.file(i)))
            np.testing.assert_array_equal(split[i][0].permute(1, 2, 0).numpy(), expected)
    return found


@pytest.mark.parametrize("case", USED)
def test_images_and_labels_are_those_of_a_listing(root: Path, case: str) -> None:
    USED[case](root)
    folders = [f for part in ("train", "val") for f in (root / part).iterdir() if f.is_dir() and f.name[0] != "."]
    files = [file for folder in folders for file in folder.iterdir() if file.name[0] != "."]
    expected = {str(file): file.parent.name for file in files if file.suffix.lower() == ".png"}
    assert len(expected) >= 18
    assert labels_of(Folder(root, holdout=0.2)) == expected


@pytest.mark.parametrize("case", REFUSED)
def test_other_layouts_are_refused_with_what_was_expected(root: Path, case: str) -> None:
    change, message = REFUSED[case]
    change(root)
    with pytest.raises(ValueError, match=r".") as refusal:
        Folder(root, holdout=0.2)
    assert message in str(refusal.value)


def test_files_that_are_not_used_are_counted_with_an_example(root: Path, caplog: Any) -> None:
    (root / "train/cat/notes.txt").write_text("hello")
    write(root / "train/cat/more/0.png")
    (root / "train/dog/scan.heic").write_bytes(b"x")
    assert len(labels_of(Folder(root, holdout=0.2))) == 18
    assert "1 images lie in folders within class folders" in caplog.text
    assert "2 files are not used, such as" in caplog.text
    assert "notes.txt; images are .jpg" in caplog.text


@pytest.mark.parametrize("depth", ["", "a/", "a/b c/d/"])
def test_a_folder_without_labels_may_be_flat_or_nested(tmp_path: Path, depth: str) -> None:
    for number in range(8):
        write(tmp_path / f"{depth}{number}.png", number)
    source = Images(tmp_path, holdout=0.25)
    splits: list[Any] = [source.split("train"), source.split("val")]
    found = [str(split.file(i)) for split in splits for i in range(len(split))]
    assert sorted(found) == [f"{tmp_path}/{depth}{number}.png" for number in range(8)]
    assert source.classes == ()


def test_without_labels_the_images_of_train_are_used_however_deep(root: Path, caplog: Any) -> None:
    write(root / "train/cat/more/0.png")
    write(root / "train/9.png")
    for source in (Folder(root, holdout=0.2, labels=False), Images(root, holdout=0.2)):
        splits: list[Any] = [source.split("train"), source.split("val")]
        found = [str(split.file(i)) for split in splits for i in range(len(split))]
        assert sorted(found) == sorted(map(str, (root / "train").rglob("*.png")))
        assert source.classes == ()
        with pytest.raises(ValueError, match="no labels and no test split"):
            source.split("test")
    assert "only the images of train/ are used" in caplog.text


def test_without_labels_one_image_is_too_few(tmp_path: Path) -> None:
    write(tmp_path / "0.png")
    with pytest.raises(ValueError, match="There are too few samples, 1, to hold out"):
        Folder(tmp_path, labels=False)


def test_every_layout_has_the_switch_for_upright_images(root: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for path in root.rglob("*.png"):
        Image.open(path).save(path, exif=exif)
    (tmp_path / "t.csv").write_text("path,label\n" + "".join(f"{p},cat\n" for p in root.rglob("*.png")))
    pack(root, tmp_path / "packed", 1_000_000)
    for kind, place in ((Folder, root), (Images, root), (Table, tmp_path / "t.csv"), (Shards, tmp_path / "packed")):
        make: Any = kind
        for upright, shape in ((True, (3, 24, 20)), (False, (3, 20, 24))):
            assert make(place, holdout=0.2, upright=upright).split("train")[0][0].shape == shape


@pytest.mark.parametrize("name", ["a b.png", "a,b.png", 'say "a".png', "a\nb.png", "ä猫.png", "a=b.png", "deep/a.png"])
def test_paths_of_a_table_may_have_any_name(tmp_path: Path, name: str) -> None:
    rows = []
    for label in CLASSES:
        for number in range(4):
            path = name if (label, number) == ("cat", 0) else f"{label}{number}.png"
            write(tmp_path / path, number)
            rows.append((path, label))
    with (tmp_path / "train.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    source = Table(tmp_path / "train.csv", holdout=0.25)
    splits: list[Any] = [source.split("train"), source.split("val")]
    found = {str(split.file(i)): source.classes[int(split.labels[i])] for split in splits for i in range(len(split))}
    assert found == {f"{tmp_path}/{path}": label for path, label in rows}


def test_images_that_were_moved_after_the_list_was_made_are_named(root: Path) -> None:
    source = Folder(root, holdout=0.2, max_damaged=0)
    root.rename(root.parent / "elsewhere")
    with pytest.raises(ValueError, match=r"0\.png cannot be read \(.*No such file"):
        source.split("test")[0]
