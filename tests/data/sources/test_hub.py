"""Hugging Face datasets, from disk."""

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mimbench.data import Hub

datasets = pytest.importorskip("datasets")


def table(count: int, labels: list[Any] | None = None, named: bool = True) -> Any:
    pixels = np.random.default_rng(count).integers(0, 256, (count, 20, 24, 3), np.uint8)
    from PIL import Image

    label = datasets.ClassLabel(names=["cat", "dog"]) if named else datasets.Value("string")
    features = datasets.Features({"image": datasets.Image(), "label": label})
    values = [i % 2 for i in range(count)] if labels is None else labels
    return datasets.Dataset.from_dict({"image": [Image.fromarray(p) for p in pixels], "label": values}, features)


def saved(folder: Path, **tables: Any) -> str:
    path = folder / "saved"
    datasets.DatasetDict(tables).save_to_disk(path)
    return str(path)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return saved(tmp_path, train=table(20), test=table(6))


def test_validation_is_held_out_of_the_training_split(path: str) -> None:
    source = Hub(path, holdout=0.2)
    train, val, test = (source.split(name) for name in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (16, 4, 6)
    assert torch.bincount(val.labels).tolist() == [2, 2]
    seen = [image.numpy().tobytes() for split in (train, val) for image, _ in map(split.__getitem__, range(len(split)))]
    assert len(set(seen)) == 20
    assert source.classes == ("cat", "dog")


def test_images_and_labels_are_those_of_the_rows(path: str) -> None:
    rows = datasets.load_from_disk(path)["test"]
    split = Hub(path).split("test")
    for i in range(6):
        image, label = split[i]
        assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(rows[i]["image"]))
        assert label == rows[i]["label"]


def test_a_named_validation_split_is_used(tmp_path: Path) -> None:
    source = Hub(saved(tmp_path, train=table(10), dev=table(4), test=table(6)), val_split="dev")
    assert [len(source.split(name)) for name in ("train", "val", "test")] == [10, 4, 6]


def test_labels_that_are_words_become_sorted_classes(tmp_path: Path) -> None:
    words = table(4, ["sun", "moon", "sun", "moon"], named=False)
    source = Hub(saved(tmp_path, train=words, test=words), holdout=0.5)
    assert source.classes == ("moon", "sun")
    assert source.split("test").labels.tolist() == [1, 0, 1, 0]


def test_missing_labels_are_refused(tmp_path: Path) -> None:
    source = Hub(saved(tmp_path, train=table(4), test=table(4, [0, 1, -1, -1])))
    with pytest.raises(ValueError, match=r"'test', has labels that the training classes lack: -1"):
        source.split("test")


def test_a_wrong_split_or_column_is_refused_with_what_there_is(path: str) -> None:
    with pytest.raises(ValueError, match=r"no split 'validation' \(test_split\); it has train, test"):
        Hub(path, test_split="validation").prepare()
    with pytest.raises(ValueError, match=r"no column 'img'; it has image, label"):
        Hub(path, image_column="img").prepare()


def test_a_damaged_row_is_replaced_by_its_neighbor(tmp_path: Path) -> None:
    rows = table(4)
    encoded = rows.cast_column("image", datasets.Image(decode=False))[:]
    encoded["image"][1] = {"bytes": b"nothing", "path": None}
    broken = datasets.Dataset.from_dict(encoded, rows.features)
    split = Hub(saved(tmp_path, train=table(4), test=broken)).split("test")
    assert torch.equal(split[1][0], split[2][0])
    assert split[1][1] == split[2][1]
    refusing = Hub(str(tmp_path / "saved"), max_damaged=0).split("test")
    with pytest.raises(ValueError, match=r"split 'test', row 1 cannot be read"):
        refusing[1]


def test_without_the_extra_the_remedy_is_named(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name == "datasets":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"pip install 'mimbench\[hub\] @ ADDRESS'"):
        Hub(path).prepare()
