"""corruptions-v1: the same head, other images, and errors relative to a baseline."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mimbench.data import ImageDataModule, MemorySplit
from mimbench.data.corruptions import CORRUPTIONS, WITH_FROST, Corrupted
from mimbench.data.corruptions.frost import PHOTOGRAPHS
from mimbench.data.reload import reload
from mimbench.encoders import ViTEncoder
from mimbench.evaluation import Linear, extract, run_protocols
from mimbench.evaluation.protocols.corruptions import ALEXNET, Corruptions

FEW: dict[str, Any] = {"corruptions": ("contrast", "snow"), "severities": (1, 5)}
QUICK = Linear(epochs=5, min_steps=1)


def measure(encoder: ViTEncoder, datamodule: ImageDataModule, **changes: Any) -> dict[str, Any]:
    protocol = Corruptions(**({"linear": QUICK} | FEW | changes))
    return run_protocols([protocol], encoder, datamodule)[protocol.label]


def test_errors_are_those_of_linear_v1s_head_on_corrupted_images(encoder: ViTEncoder, datamodule: ImageDataModule):
    found = measure(encoder, datamodule)
    train, val = (extract(encoder, datamodule.plain(split), [3]) for split in ("train", "val"))
    head = QUICK.select(train, val, 3)
    plain = datamodule.plain("test")
    for name in FEW["corruptions"]:
        for severity, error in zip((1, 5), found["errors"][name], strict=True):
            images = extract(encoder, reload(plain, Corrupted(plain.dataset, name, severity)), [3])
            wrong = head.predict(images.at(3)) != images.labels
            assert error == pytest.approx(wrong.float().mean().item())
    errors = [error for row in found["errors"].values() for error in row]
    assert found["mean_error"] == pytest.approx(sum(errors) / 4)
    assert found["accuracy"] == pytest.approx(1 - found["mean_error"])
    assert found["strengths"] == "CIFAR-10-C"


def test_clean_accuracy_is_linear_v1s(encoder: ViTEncoder, datamodule: ImageDataModule):
    found = measure(encoder, datamodule)
    linear = run_protocols([QUICK], encoder, datamodule)[QUICK.label]
    for own, theirs in {"clean_accuracy": "accuracy", "lr": "lr", "val_accuracy": "val_accuracy"}.items():
        assert found[own] == linear[theirs]


def test_shuffled_test_labels_change_no_choice(encoder: ViTEncoder, datamodule: ImageDataModule):
    before = measure(encoder, datamodule)
    test = datamodule.split("test")
    assert isinstance(test, MemorySplit)
    datamodule._splits["test"] = MemorySplit(test.images, test.labels.flip(0))
    after = measure(encoder, datamodule)
    assert (after["lr"], after["val_accuracy"]) == (before["lr"], before["val_accuracy"])
    assert after["errors"] != before["errors"]


def baseline(directory: Path, **changes: Any) -> str:
    errors = {"contrast": [0.4, 0.6], "snow": [0.2, 0.8]}
    result = {"errors": errors, "clean_accuracy": 0.75, "num_test": 28} | changes
    (directory / "evaluation").mkdir(parents=True)
    name = Corruptions(linear=QUICK, **FEW).label
    (directory / "evaluation" / f"{name}.json").write_text(json.dumps(result))
    return str(directory)


def test_mce_is_the_mean_of_ratios_of_sums(encoder: ViTEncoder, datamodule: ImageDataModule, tmp_path: Path):
    found = measure(encoder, datamodule, baseline=baseline(tmp_path / "run"))
    contrast, noise = (sum(found["errors"][name]) for name in FEW["corruptions"])
    assert found["mce"] == pytest.approx((contrast / 1.0 + noise / 1.0) / 2)
    clean = 1 - found["clean_accuracy"]
    relative = [(total / 2 - clean) / (0.5 - 0.25) for total in (contrast, noise)]
    assert found["relative_mce"] == pytest.approx(sum(relative) / 2)
    assert found["baseline"] == str(tmp_path / "run")


def test_a_run_relative_to_itself_is_one_and_the_baseline_does_not_change_the_label(
    encoder: ViTEncoder, datamodule: ImageDataModule, tmp_path: Path
):
    own = measure(encoder, datamodule)
    again = measure(encoder, datamodule, baseline=baseline(tmp_path / "run", **own))
    assert again["mce"] == pytest.approx(1)
    assert again["errors"] == own["errors"]


def test_alexnet_is_the_published_baseline_of_all_corruptions():
    assert ALEXNET.keys() == set(WITH_FROST) == {*CORRUPTIONS, "frost"}
    assert Corruptions(baseline="alexnet").label == Corruptions().label == "corruptions-v1"
    with pytest.raises(ValueError, match="severities 1 to 5"):
        Corruptions(severities=(1,), baseline="alexnet")


def test_with_photographs_of_frost_all_fifteen_are_measured_under_another_name(
    encoder: ViTEncoder, datamodule: ImageDataModule, tmp_path: Path
):
    whole = Corruptions(frost=str(tmp_path))
    assert whole.corruptions == WITH_FROST
    assert whole.label == "corruptions-v1+frost=True"
    with pytest.raises(ValueError, match=r"frost1.png cannot be read .*robustness"):
        whole.check(datamodule)
    for name in PHOTOGRAPHS:
        Image.fromarray(np.full((400, 500, 3), 200, np.uint8)).save(tmp_path / name)
    whole.check(datamodule)
    few = FEW | {"corruptions": ("contrast", "frost")}
    found = measure(encoder, datamodule, **few, frost=str(tmp_path))
    assert found["errors"].keys() == {"contrast", "frost"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corruptions": ["frost"]}, "no corruptions \\['frost'\\].*protocol.corruptions.frost=DIR"),
        ({"severities": [0, 1]}, "from 1 to 5"),
        ({"corruptions": []}, "at least one"),
        ({"baseline": "nowhere"}, "evaluate that run under corruptions-v1 first"),
    ],
)
def test_nonsense_is_refused_before_anything_runs(changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        Corruptions(**changes)


def test_a_baseline_of_other_data_or_corruptions_is_refused(
    encoder: ViTEncoder, datamodule: ImageDataModule, tmp_path: Path
):
    with pytest.raises(ValueError, match="measured on 99 test images, these are 28"):
        measure(encoder, datamodule, baseline=baseline(tmp_path / "other", num_test=99))
    with pytest.raises(ValueError, match="lacks errors under snow"):
        measure(encoder, datamodule, baseline=baseline(tmp_path / "less", errors={"contrast": [0.1, 0.2]}))


def test_data_without_labels_is_refused(encoder: ViTEncoder, datamodule: ImageDataModule):
    train = datamodule.split("train")
    assert isinstance(train, MemorySplit)
    datamodule._splits["train"] = MemorySplit(train.images, torch.full_like(train.labels, -1))
    with pytest.raises(ValueError, match="have no label"):
        measure(encoder, datamodule)
