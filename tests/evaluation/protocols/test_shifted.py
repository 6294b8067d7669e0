"""Labeled folders of other images, restricted to the classes that are there."""

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from mimbench.data import ImageDataModule
from mimbench.encoders import ViTEncoder
from mimbench.evaluation import Linear, extract, run_protocols
from mimbench.evaluation.protocols.shifted import Shifted, predict_among

QUICK = Linear(epochs=5, min_steps=1)


@pytest.fixture
def folder(tmp_path: Path, datamodule: ImageDataModule) -> Path:
    """The test images of classes b and d, under their names."""
    split = datamodule.split("test")
    for i in range(len(split)):
        image, label = split[i]
        if label in (1, 3):
            (tmp_path / "abcd"[label]).mkdir(exist_ok=True)
            PIL.Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / "abcd"[label] / f"{i:03}.png")
    return tmp_path


def measure(encoder: ViTEncoder, datamodule: ImageDataModule, root: Path | str) -> dict[str, Any]:
    protocol = Shifted("mine", str(root), QUICK)
    return run_protocols([protocol], encoder, datamodule)[protocol.label]


def test_only_classes_that_are_there_can_be_predicted():
    scores = torch.tensor([[9.0, 1.0, 2.0], [9.0, 3.0, 2.0]])
    assert predict_among(scores, torch.tensor([1, 2])).tolist() == [2, 1]


def test_accuracy_is_that_of_the_runs_own_head_among_the_folders_classes(
    encoder: ViTEncoder, datamodule: ImageDataModule, folder: Path
):
    found = measure(encoder, datamodule, folder)
    train, val = (extract(encoder, datamodule.plain(split), [3]) for split in ("train", "val"))
    head = QUICK.select(train, val, 3)
    assert head.scores is not None
    right = {"restricted": 0, "all": 0}
    for path in sorted(folder.glob("*/*.png")):
        # 16 px to 18 px, of which the middle 16 px, as timm's and torchvision's evaluations do.
        image = PIL.Image.open(path).resize((18, 18), PIL.Image.Resampling.BICUBIC).crop((1, 1, 17, 17))
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        with torch.no_grad():
            vector = encoder.eval()(((pixels - mean) / std)[None], [3])[3].patches.mean(1)
        scores, label = head.scores(vector)[0], "abcd".index(path.parent.name)
        right["restricted"] += label == (1, 3)[int(scores[[1, 3]].argmax())]
        right["all"] += label == int(scores.argmax())
    assert found["num_test"] == 14
    assert found["num_classes"] == 2
    # Resizing to 8 bits by Pillow and by torchvision may differ by one gray level.
    assert found["accuracy"] == pytest.approx(right["restricted"] / 14, abs=1 / 14)
    assert found["accuracy_all_classes"] == pytest.approx(right["all"] / 14, abs=1 / 14)


def test_the_runs_own_test_split_is_not_read(encoder: ViTEncoder, datamodule: ImageDataModule, folder: Path):
    datamodule._splits.pop("test")
    measure(encoder, datamodule, folder)
    assert "test" not in datamodule._splits


def test_scores_are_those_the_prediction_is_made_of(encoder: ViTEncoder, datamodule: ImageDataModule):
    train, val = (extract(encoder, datamodule.plain(split), [3]) for split in ("train", "val"))
    head = QUICK.select(train, val, 3)
    assert head.scores is not None
    assert torch.equal(head.scores(val.at(3)).argmax(1), head.predict(val.at(3)))


def test_the_datasets_name_is_the_results(folder: Path):
    assert Shifted("imagenet-a", str(folder)).label == "imagenet-a-v1"
    assert Shifted("imagenet-a", str(folder)).deviations() == {}


def test_a_missing_root_and_foreign_classes_are_refused(
    encoder: ViTEncoder, datamodule: ImageDataModule, folder: Path, tmp_path: Path
):
    with pytest.raises(ValueError, match="give its root"):
        measure(encoder, datamodule, "")
    with pytest.raises(ValueError, match="There is no folder"):
        measure(encoder, datamodule, tmp_path / "none")
    (folder / "unknown").mkdir()
    with pytest.raises(ValueError, match="unknown are no classes of the training data, such as a, b, c"):
        measure(encoder, datamodule, folder)
