"""torchvision's datasets, in their real file formats but tiny."""

import json
import pickle
import struct
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from torchvision.datasets import CIFAR10, STL10, SVHN, Flowers102, cifar

from mimbench.data import ImageDataModule, TorchVision


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checksums of the real files cannot fit."""
    monkeypatch.setattr(cifar, "check_integrity", lambda *_: True)
    for dataset in (CIFAR10, STL10, Flowers102):
        monkeypatch.setattr(dataset, "_check_integrity", lambda _: True)


def pixels(count: int) -> Any:
    return np.random.default_rng(count).integers(0, 256, (count, 3072), np.uint8)


@pytest.mark.usefixtures("trusting")
def test_cifar_is_read_into_memory_with_validation_held_out(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    names = [name for name, _ in CIFAR10.train_list] + [name for name, _ in CIFAR10.test_list]
    for name in names:
        (folder / name).write_bytes(pickle.dumps({"data": pixels(20), "labels": [i % 10 for i in range(20)]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    source = TorchVision("CIFAR10", tmp_path, download=False)
    train, val, test = (source.split(name) for name in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (90, 10, 20)
    assert torch.bincount(val.labels).tolist() == [1] * 10
    assert torch.equal(test[3][0], torch.from_numpy(pixels(20)[3].reshape(3, 32, 32)))
    assert source.classes == tuple("abcdefghij")
    module = ImageDataModule(source, batch_size=9)
    assert next(iter(module.train_dataloader())).images.shape == (9, 3, 32, 32)


@pytest.mark.usefixtures("trusting")
def test_stl10_keeps_its_channels_first(tmp_path: Path) -> None:
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 96, 96), np.uint8)
    for part in ("train", "test"):
        images.tofile(folder / f"{part}_X.bin")
        (np.arange(20, dtype=np.uint8) % 10 + 1).tofile(folder / f"{part}_y.bin")
    (folder / "class_names.txt").write_text("\n".join("abcdefghij"))
    split = TorchVision("STL10", tmp_path, download=False, holdout=0.5).split("test")
    assert torch.equal(split[4][0], torch.from_numpy(images[4].transpose(0, 2, 1).copy()))
    assert split.labels.tolist() == [i % 10 for i in range(20)]


@pytest.mark.usefixtures("trusting")
def test_flowers_are_read_from_their_files(tmp_path: Path) -> None:
    folder = tmp_path / "flowers-102"
    (folder / "jpg").mkdir(parents=True)
    count = 4 * 102
    for number in range(1, count + 1):
        (folder / "jpg" / f"image_{number:05d}.jpg").touch()
    scipy.io.savemat(folder / "imagelabels.mat", {"labels": np.arange(count) % 102 + 1})
    ids = np.arange(1, count + 1)
    scipy.io.savemat(folder / "setid.mat", {"trnid": ids[:204], "valid": ids[204:306], "tstid": ids[306:]})
    Image.new("RGB", (40, 30), (255, 0, 0)).save(folder / "jpg" / "image_00307.jpg")
    source = TorchVision("Flowers102", tmp_path, download=False)
    assert [len(source.split(name)) for name in ("train", "val", "test")] == [102, 102, 102]
    assert source.split("test")[0][0].shape == (3, 30, 40)
    assert len(source.classes) == 102


def test_food_is_read_from_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "food-101"
    (folder / "meta").mkdir(parents=True)
    for part, count in (("train", 4), ("test", 2)):
        listing = {name: [f"{name}/{part}{i}" for i in range(count)] for name in ("pie", "soup")}
        (folder / "meta" / f"{part}.json").write_text(json.dumps(listing))
    for name in ("pie", "soup"):
        (folder / "images" / name).mkdir(parents=True)
        for stem in [f"train{i}" for i in range(4)] + ["test0", "test1"]:
            Image.new("RGB", (40, 30)).save(folder / "images" / name / f"{stem}.jpg")
    source = TorchVision("Food101", tmp_path, download=False, holdout=0.25)
    assert [len(source.split(name)) for name in ("train", "val", "test")] == [6, 2, 4]
    assert source.classes == ("pie", "soup")
    assert source.split("val")[1][1] == 1


def test_absent_data_without_permission_to_download_name_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"CIFAR10 is not in .*Set download=true on a machine with a network"):
        TorchVision("CIFAR10", tmp_path, download=False).prepare()


def test_a_failed_download_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr(CIFAR10, "download", refuse)
    with pytest.raises(ValueError, match=r"could not be downloaded .*no network.* fashion, photos, shapes"):
        TorchVision("CIFAR10", tmp_path).prepare()


def test_an_unknown_name_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'ImageNet99'; choose from CIFAR10, CIFAR100"):
        TorchVision("ImageNet99", tmp_path)


@pytest.mark.parametrize("name", ["MNIST", "KMNIST"])
def test_gray_images_are_padded_to_32_pixels(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "raw"
    folder.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28), np.uint8)
    for part in ("train", "t10k"):
        header = struct.pack(">BBBBIII", 0, 0, 8, 3, 40, 28, 28)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        labels = (np.arange(40) % 10).astype(np.uint8)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, 40) + labels.tobytes())
    source = TorchVision(name, tmp_path, download=False, holdout=0.25)
    split = source.split("test")
    assert torch.equal(split[7][0][:, 2:-2, 2:-2], torch.from_numpy(images[7]).expand(3, -1, -1))
    assert not split[7][0][:, :, :2].any()
    assert (len(source.split("train")), len(source.split("val"))) == (30, 10)
    assert (source.flip, len(source.classes)) == (False, 10)


@pytest.mark.usefixtures("trusting")
def test_svhn_is_read_from_its_matlab_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SVHN, "_check_integrity", lambda _: True)
    images = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 20), np.uint8)
    labels = np.arange(20)[:, None] % 10 + 1  # 10 stands for the digit 0
    for part in ("train", "test"):
        scipy.io.savemat(tmp_path / f"{part}_32x32.mat", {"X": images, "y": labels})
    split = TorchVision("SVHN", tmp_path, download=False, holdout=0.5).split("test")
    assert torch.equal(split[4][0], torch.from_numpy(images[..., 4].transpose(2, 0, 1).copy()))
    assert split.labels.tolist() == [(i + 1) % 10 for i in range(20)]


def test_eurosat_has_three_disjoint_splits_of_its_folders(tmp_path: Path) -> None:
    for label in ("Forest", "River"):
        folder = tmp_path / "eurosat" / "2750" / label
        folder.mkdir(parents=True)
        for number in range(20):
            Image.new("RGB", (64, 64), (number, 0, 0)).save(folder / f"{label}_{number}.jpg", quality=100)
    source = TorchVision("EuroSAT", tmp_path, download=False, holdout=0.25)
    splits = [source.split(name) for name in ("train", "val", "test")]
    assert [split.labels.bincount().tolist() for split in splits] == [[12, 12], [4, 4], [4, 4]]
    files = [str(split.file(i)) for split in splits for i in range(len(split))]  # type: ignore[attr-defined]
    assert len(set(files)) == 40
    assert source.classes == ("Forest", "River")


def test_pets_are_read_from_their_lists(tmp_path: Path) -> None:
    base = tmp_path / "oxford-iiit-pet"
    (base / "images").mkdir(parents=True)
    (base / "annotations").mkdir()
    for part in ("trainval", "test"):
        names = [f"{breed}_{part}{number}" for breed in ("Bengal", "pug") for number in range(4)]
        lines = [f"{name} {1 + (name[0] == 'p')} 1 1" for name in names]
        (base / "annotations" / f"{part}.txt").write_text("\n".join(lines) + "\n")
        for name in names:
            Image.new("RGB", (40, 30)).save(base / "images" / f"{name}.jpg")
    source = TorchVision("OxfordIIITPet", tmp_path, download=False, holdout=0.25)
    assert [len(source.split(name)) for name in ("train", "val", "test")] == [6, 2, 8]
    assert source.split("test")[7][0].shape == (3, 30, 40)
    assert source.classes == ("Bengal", "Pug")
