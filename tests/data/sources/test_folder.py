"""Class folders: what is right, what is damaged, what is refused."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mimbench.data import Folder, ImageDataModule
from mimbench.data.holdout import describe_tiny

CLASSES = ("cat", "dog")


def others(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was warned of, but for the size of the validation split, which is tiny here."""
    messages = [record.getMessage() for record in caplog.records]
    return [message for message in messages if "the validation split has" not in message]


def write(path: Path, number: int, size: tuple[int, int] = (40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for split, count in (("train", 10), ("val", 3)):
        for label, name in enumerate(CLASSES):
            for number in range(count):
                write(tmp_path / split / name / f"{number}.png", 100 * label + number)
    return tmp_path


def test_val_is_the_test_split_and_the_hold_out_comes_from_train(root: Path) -> None:
    source = Folder(root, holdout=0.2)
    files = {
        name: [source.split(name).file(i) for i in range(len(source.split(name)))] for name in ("train", "val", "test")
    }
    assert [len(found) for found in files.values()] == [16, 4, 6]
    assert all(root / "val" in file.parents for file in files["test"])
    assert all(root / "train" in file.parents for file in files["train"] + files["val"])
    assert not set(files["train"]) & set(files["val"])
    assert torch.bincount(source.split("val").labels).tolist() == [2, 2]
    assert source.classes == CLASSES


def test_images_and_labels_are_those_of_the_files(root: Path) -> None:
    split = Folder(root, holdout=0.2).split("test")
    for i in range(len(split)):
        image, label = split[i]
        assert split.file(i).parent.name == CLASSES[label]
        assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(Image.open(split.file(i))))


def test_gray_and_transparent_files_become_three_colors(root: Path) -> None:
    Image.new("L", (40, 30), 7).save(root / "val/cat/0.png")
    Image.new("RGBA", (40, 30), (7, 7, 7, 0)).save(root / "val/cat/1.png")
    split = Folder(root, holdout=0.2).split("test")
    assert torch.equal(split[0][0], split[1][0])
    assert split[0][0].shape == (3, 30, 40)


def test_the_datamodule_crops_files_to_one_size(root: Path) -> None:
    module = ImageDataModule(Folder(root, holdout=0.2), image_size=24, batch_size=4, num_workers=0)
    batch = next(iter(module.train_dataloader()))
    assert batch.images.shape == (4, 3, 24, 24)
    assert torch.equal(batch.images, next(iter(module.train_dataloader())).images)
    assert next(iter(module.plain("test"))).images.shape == (6, 3, 24, 24)


def test_a_damaged_file_is_replaced_by_its_neighbor_counted_once_and_named(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = root / "val/cat/1.png"
    broken.write_bytes(broken.read_bytes()[:200])
    split = Folder(root, holdout=0.2).split("test")
    with caplog.at_level(logging.WARNING):
        first, again = split[1], split[1]
    assert torch.equal(first[0], split[2][0])
    assert torch.equal(first[0], again[0])
    assert len(others(caplog)) == 1
    assert "Skipped damaged image 1 (10 allowed)" in caplog.text
    assert str(broken) in caplog.text


def test_the_label_of_a_replaced_file_is_its_replacements(root: Path) -> None:
    (root / "val/cat/2.png").write_bytes(b"nothing")
    batch = Folder(root, holdout=0.2).split("test").take([2, 3])
    assert batch.labels.tolist() == [1, 1]


def test_more_damaged_files_than_the_limit_are_an_error_that_names_the_file(root: Path) -> None:
    for number in (0, 1):
        (root / f"val/cat/{number}.png").write_bytes(b"nothing")
    split = Folder(root, holdout=0.2, max_damaged=1).split("test")
    with pytest.raises(ValueError, match=r"val/cat/1\.png cannot be read .* image number 2 and max_damaged is 1"):
        split[0]


def test_a_folder_of_nothing_but_damaged_files_ends(root: Path) -> None:
    for file in root.glob("val/*/*.png"):
        file.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="Not one of 6 images can be read"):
        Folder(root, holdout=0.2).split("test")[0]


def test_a_damaged_file_stops_a_worker_with_the_same_message(root: Path) -> None:
    for file in root.glob("val/*/*.png"):
        file.write_bytes(b"nothing")
    module = ImageDataModule(Folder(root, holdout=0.2, max_damaged=0), image_size=24, num_workers=1)
    with pytest.raises(ValueError, match=r"val/cat/0\.png cannot be read"):
        next(iter(module.plain("test")))


@pytest.mark.parametrize("missing", ["train", "val"])
def test_a_missing_folder_is_refused(root: Path, missing: str) -> None:
    (root / missing).rename(root / "elsewhere")
    with pytest.raises(ValueError, match=rf"There is no folder .*{missing}; expected train/ and val/"):
        Folder(root)


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "train" / "0.png", 0)
    with pytest.raises(ValueError, match="no class folders, so its images have no labels"):
        Folder(tmp_path)


def test_a_class_without_images_is_refused(root: Path) -> None:
    for file in root.glob("train/dog/*"):
        file.rename(file.with_suffix(".txt"))
    with pytest.raises(ValueError, match=r"train/dog has no images \(\.jpg"):
        Folder(root)


def test_a_class_of_one_image_is_named(root: Path) -> None:
    for file in sorted(root.glob("train/dog/*"))[1:]:
        file.unlink()
    with pytest.raises(ValueError, match=r"Class 'dog' has too few samples, 1, .* remove the class or lower"):
        Folder(root)


def test_images_in_folders_within_classes_are_counted_in_a_warning_and_not_used(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(root / "train/cat/more/deep/0.png", 0)
    write(root / "train/cat/more/1.png", 0)
    assert len(Folder(root, holdout=0.2).split("train")) == 16
    assert "2 images lie in folders within class folders" in caplog.text
    assert "train/cat/more" in caplog.text


def test_hidden_files_and_folders_are_left_out(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "train/cat/._0.png").write_bytes(b"metadata of another system")
    write(root / "train/.trash/0.png", 0)
    write(root / "train/cat/.trash/0.png", 0)
    assert len(Folder(root, holdout=0.2).split("train")) == 16
    assert others(caplog) == []


def test_names_may_contain_anything(root: Path) -> None:
    for split in ("train", "val"):
        (root / split / "cat").rename(root / split / "a = b, ü\n[bold]")
        (root / split / "a = b, ü\n[bold]" / "0.png").rename(root / split / "a = b, ü\n[bold]" / "=1,\n ü.png")
    source = Folder(root, holdout=0.2)
    assert source.classes == ("a = b, ü\n[bold]", "dog")
    assert [len(source.split(name)) for name in ("train", "val", "test")] == [16, 4, 6]
    for split in (source.split(name) for name in ("train", "val", "test")):
        assert all(split[i][0].shape == (3, 30, 40) for i in range(len(split)))


def test_links_are_followed_and_a_broken_one_counts_as_damaged(
    root: Path, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "0.png"
    (root / "val/cat/0.png").rename(elsewhere)
    (root / "val/cat/0.png").symlink_to(elsewhere)
    (root / "val/cat/1.png").unlink()
    (root / "val/cat/1.png").symlink_to(root / "nowhere.png")
    split = Folder(root, holdout=0.2).split("test")
    assert np.array_equal(split[0][0].permute(1, 2, 0).numpy(), np.asarray(Image.open(elsewhere)))
    assert torch.equal(split[1][0], split[2][0])
    assert "cat/1.png" in caplog.text


def test_an_empty_file_counts_as_damaged(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "val/cat/1.png").write_bytes(b"")
    split = Folder(root, holdout=0.2).split("test")
    assert torch.equal(split[1][0], split[2][0])
    assert "cat/1.png" in caplog.text


def test_classes_that_differ_are_named(root: Path) -> None:
    (root / "val/dog").rename(root / "val/wolf")
    with pytest.raises(ValueError, match=r"dog \(only in train/\), wolf \(only in val/\)"):
        Folder(root)


def test_a_image_smaller_than_a_patch_is_refused_before_training(root: Path) -> None:
    write(root / "train/dog/tiny.png", 0, size=(12, 40))
    with pytest.raises(ValueError, match=r"tiny\.png has 12 x 40 px, fewer than min_size=16"):
        Folder(root)
    assert len(Folder(root, holdout=0.2, min_size=12).split("train")) == 17


def test_a_tiny_validation_split_is_warned_of_with_its_error(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = Folder(root, image_size=32)
    number = len(folder.split("val"))
    assert f"the validation split has {number} images" in caplog.text
    assert f"up to {50 / number**0.5:.0f} points" in caplog.text
    assert describe_tiny(200, "x") is None
