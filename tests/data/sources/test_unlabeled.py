"""Folders of images without labels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimbench.cli import main
from mimbench.data import Images
from mimbench.data.sizes import training_size


def write(path: Path, number: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(10):
        write(tmp_path / "images" / f"{number}.png", number)
        write(tmp_path / "images" / f"a{number % 3}" / "deep" / f"{number}.png", 100 + number)
    return tmp_path / "images"


def test_all_images_below_are_found_once_and_a_share_is_held_out(root: Path) -> None:
    write(root / ".hidden" / "0.png", 0)
    (root / "notes.txt").write_text("none")
    (root / "a0" / "loop").symlink_to(root)
    source = Images(root, holdout=0.2)
    train, val = source.split("train"), source.split("val")
    files = [split.file(i) for split in (train, val) for i in range(len(split))]
    assert (len(train), len(val)) == (16, 4)
    assert sorted(files) == sorted(path for path in root.rglob("*.png") if ".hidden" not in path.parts)
    assert training_size(Images, root=root, holdout=0.2) == 16
    assert source.classes == ()


def test_pixels_are_those_of_the_files_and_there_are_no_labels(root: Path) -> None:
    split = Images(root, holdout=0.2).split("train")
    image, label = split[3]
    assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(Image.open(split.file(3))))
    assert label == -1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: root / "nowhere", "There is no folder"),
        (lambda root: (root / "empty").mkdir() or root / "empty", "have no images"),
    ],
)
def test_a_folder_without_images_is_refused(root: Path, make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Images(make(root))  # pyright: ignore[reportCallIssue]


TINY = ["encoder=vit_micro", "encoder.depth=2", "encoder.width=32", "data.patch_size=8", "data.image_size=32"]
TINY += ["method.dim=32", "method.num_heads=4", "data.num_workers=0", "optim=small", "optim.batch_size=8"]
TINY += ["budget=steps", "budget.steps=2", "trainer.accelerator=cpu"]


def test_pre_training_without_labels_runs_and_protocols_that_need_them_are_refused_before(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["run", "method=mae", "data=images", f"data.source.root={root}", *TINY]
    assert main([*options, "protocol=[]", "callbacks.knn=null"]) == 0
    capsys.readouterr()
    assert main([*options, "protocol=[knn]"]) == 2
    assert "have no label" in capsys.readouterr().err
