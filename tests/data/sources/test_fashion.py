"""Fashion-MNIST: the part that comes with the package, and the official files."""

import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from mimbench.data import Fashion, FashionMNIST
from mimbench.data.sources import fashion, fashion_mnist
from mimbench.data.sources.idx import read_idx

HERE = fashion_mnist.SYSTEM_FOLDER.is_dir()
real = pytest.mark.skipif(
    not HERE and "MIMBENCH_REQUIRE_DATA" not in os.environ, reason="needs Debian's dataset-fashion-mnist"
)
FILES = Path(fashion.__file__).parent


def test_the_part_is_balanced_disjoint_and_padded():
    source = Fashion()
    splits = {name: source.split(name) for name in ("train", "val", "test")}
    assert {name: split.labels.bincount().tolist() for name, split in splits.items()} == {
        "train": [900] * 10,
        "val": [100] * 10,
        "test": [500] * 10,
    }
    seen: set[bytes] = set()
    for split in splits.values():
        assert split.images.shape[1:] == (3, 32, 32)
        assert not split.images[:, :, :2].any()
        assert torch.equal(split.images[:, 0], split.images[:, 2])
        seen |= {hashlib.sha256(image.numpy().tobytes()).digest() for image in split.images[:, 0]}
    assert len(seen) == 15_000  # no image is in two splits


def test_the_file_is_small_and_has_its_license_beside_it():
    assert (FILES / fashion.FILE).stat().st_size < 4_000_000
    assert "MIT License" in (FILES / "fashion.LICENSE").read_text()


@real
def test_the_file_is_made_from_the_official_files_by_the_documented_seed():
    assert fashion.encode(FashionMNIST("nowhere")) == (FILES / fashion.FILE).read_bytes()


@real
def test_images_of_the_part_are_official_ones_but_for_rounding():
    official = FashionMNIST("nowhere").part("test")
    ours = Fashion().split("test")
    known = {
        (5 * np.rint(image / 5)).astype(np.uint8).tobytes(): int(label) for image, label in zip(*official, strict=True)
    }
    cut = ours.images[:, 0, 2:-2, 2:-2].numpy()
    assert [known[image.tobytes()] for image in cut] == ours.labels.tolist()


@real
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")  # torchvision's reader
def test_the_official_files_are_read_as_torchvision_reads_them(tmp_path: Path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for path in fashion_mnist.SYSTEM_FOLDER.glob("*.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    theirs = datasets.FashionMNIST(str(tmp_path), train=False)
    ours = FashionMNIST(tmp_path).split("test")
    assert torch.equal(ours.images[:, 0, 2:-2, 2:-2], theirs.data)
    assert torch.equal(ours.labels, theirs.targets)
    assert [name.lower() for name in FashionMNIST(tmp_path).classes] == [
        name.lower().removesuffix("/top") for name in theirs.classes
    ]
    train, val = (FashionMNIST("nowhere").split(name) for name in ("train", "val"))
    assert (len(train), len(val)) == (54_000, 6_000)


def test_without_files_and_network_the_message_names_the_package_and_the_part(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "SYSTEM_FOLDER", tmp_path / "none")

    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(datasets, "FashionMNIST", offline)
    with pytest.raises(ValueError, match=r"dataset-fashion-mnist.*data=fashion"):
        FashionMNIST(tmp_path).prepare()
    with pytest.raises(ValueError, match="download=true"):
        FashionMNIST(tmp_path, download=False).prepare()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        struct.pack(">BBBBI", 0, 0, 8, 1, 2**31) + b"abc",
        struct.pack(">BBBBI", 0, 0, 8, 1, 3) + b"ab",
        struct.pack(">BBBBI", 0, 0, 8, 1, 3) + bytes(10_000_000),
        struct.pack(">BBBBI", 0, 0, 13, 1, 3) + b"abc",
    ],
    ids=["empty", "a huge size", "too short", "too long", "floats"],
)
@pytest.mark.parametrize("compressed", [True, False])
def test_damaged_files_are_refused_by_name(tmp_path: Path, content: bytes, compressed: bool):
    path = tmp_path / ("file.gz" if compressed else "file")
    path.write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(ValueError, match=str(path)):
        read_idx(path, (3,))


def test_a_cut_archive_is_refused(tmp_path: Path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(bytes(100_000))[:50])
    with pytest.raises(ValueError, match=r"file\.gz"):
        read_idx(path, (3,))
