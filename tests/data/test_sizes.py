"""The number of training images, without the images."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from mimbench.data import Collages, Digits, Photos, Scenes, Shapes, Source
from mimbench.data.holdout import stratified_holdout
from mimbench.data.sizes import training_size
from mimbench.data.sources.folder import Folder
from mimbench.data.sources.hub import Hub
from mimbench.data.sources.torchvision import TorchVision


@pytest.mark.parametrize(
    ("source", "arguments"),
    [
        (Photos, {"num_train": 64, "num_val": 16, "num_test": 16}),
        (Shapes, {"num_train": 40}),
        (Scenes, {"num_train": 12}),
        (Collages, {"num_train": 12}),
        (Digits, {"seed": 3}),
    ],
)
def test_sources_without_files_say_what_they_have(source: type[Source], arguments: dict[str, Any]) -> None:
    assert training_size(source, **arguments) == len(source(**arguments).split("train"))


@pytest.mark.parametrize(
    ("name", "classes", "images"),
    [
        ("CIFAR10", 10, 5000),
        ("CIFAR100", 100, 500),
        ("STL10", 10, 500),
        ("Flowers102", 102, 10),
        ("Food101", 101, 750),
    ],
)
@pytest.mark.parametrize("holdout", [0.1, 0.05, 0.033])
def test_known_datasets_are_not_downloaded(
    tmp_path: Path, name: str, classes: int, images: int, holdout: float
) -> None:
    labels = torch.arange(classes * images) % classes
    expected = len(stratified_holdout(labels, holdout, 0).kept)
    assert training_size(TorchVision, name=name, root=tmp_path, holdout=holdout) == expected
    assert not list(tmp_path.iterdir())


def test_a_folder_is_counted_without_opening_a_image(tmp_path: Path) -> None:
    for part, images in (("train", {"a": 7, "b": 12}), ("val", {"a": 1, "b": 1})):
        for name, count in images.items():
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (20, 20)).save(tmp_path / part / name / f"{i}.png")
    (tmp_path / "train" / "a" / "notes.txt").write_text("no image")
    expected = len(Folder(tmp_path, holdout=0.2).split("train"))
    (tmp_path / "train" / "a" / "0.png").write_bytes(b"damaged")
    assert training_size(Folder, root=str(tmp_path), holdout=0.2) == expected


def test_data_that_are_not_here_have_no_known_size(tmp_path: Path) -> None:
    assert training_size(Folder, root=str(tmp_path / "nowhere")) is None
    assert training_size(Hub, path="somebody/something") is None


def test_arguments_that_the_source_refuses_are_refused() -> None:
    with pytest.raises(ValueError, match="Unknown torchvision dataset"):
        training_size(TorchVision, name="ImageNet99", root="data")
