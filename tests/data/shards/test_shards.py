"""Packed folders: the same data, in order, resumable, checked."""

import gc
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import webdataset
from PIL import Image

from mimbench.data import Folder, ImageDataModule, Shards
from mimbench.data.loader import TrainLoader
from mimbench.data.sampler import EpochSampler
from mimbench.data.shards.pack import check, pack
from mimbench.data.source import SplitName

Tell = list[str]


def write(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(pixels).resize((64, 48)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "folder"
    for split, count in (("train", 12), ("val", 3)):
        for place, name in enumerate(("a cat", "dog.é")):
            for number in range(count):
                write(root / split / name / f"{number}.x.{'JPEG' if number % 2 else 'png'}", 100 * place + number)
    return root


@pytest.fixture
def packed(folder: Path, tmp_path: Path) -> Path:
    pack(folder, tmp_path / "packed", 8000, told=lambda line: None)
    return tmp_path / "packed"


def module(source: Folder | Shards, num_workers: int = 0) -> ImageDataModule:
    return ImageDataModule(source, image_size=24, batch_size=4, num_workers=num_workers, seed=5)


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_shards_are_the_folder(folder: Path, packed: Path, name: SplitName) -> None:
    theirs, ours = (source(root, holdout=0.2).split(name) for source, root in ((Folder, folder), (Shards, packed)))
    assert Shards(packed).classes == Folder(folder, holdout=0.2).classes
    assert torch.equal(ours.labels, theirs.labels)
    assert all(torch.equal(ours[i][0], theirs[i][0]) for i in range(len(theirs)))
    assert len(list(packed.glob("train-*.tar"))) > 2


@pytest.mark.parametrize("num_workers", [0, 2])
def test_training_on_shards_is_training_on_the_folder_from_any_batch_on(
    folder: Path, packed: Path, num_workers: int
) -> None:
    expected = list(module(Folder(folder, holdout=0.2)).train_dataloader())
    loader = module(Shards(packed, holdout=0.2), num_workers).train_dataloader()
    iterator = iter(loader)
    batches = [next(iterator), next(iterator)]
    resumed = module(Shards(packed, holdout=0.2), num_workers).train_dataloader()
    resumed.load_state_dict(loader.state_dict())
    for ours, theirs in zip(batches + list(resumed), expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_ranks_share_the_shards_without_overlap(packed: Path) -> None:
    split = Shards(packed, holdout=0.2).split("train")
    dataset = module(Shards(packed, holdout=0.2))._augmented()
    whole = list(TrainLoader(dataset, EpochSampler(dataset, 4, 5)))
    halves = [list(TrainLoader(dataset, EpochSampler(dataset, 4, 5, rank, 2))) for rank in (0, 1)]
    for step, *ranks in zip(whole, *halves, strict=True):
        assert torch.equal(torch.cat([rank.index for rank in ranks]), step.index)
        assert torch.equal(torch.cat([rank.images for rank in ranks]), step.images)
    assert len({i for step in whole for i in step.index.tolist()}) == len(split) // 4 * 4


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves its files open
def test_other_programs_read_the_shards(folder: Path, packed: Path) -> None:
    files = sorted(str(path) for path in packed.glob("train-*.tar"))
    samples = list(webdataset.WebDataset(files, shardshuffle=False))
    gc.collect()
    assert len({sample["__key__"] for sample in samples}) == len(samples) == 24
    for sample in samples:
        name, _, rest = sample["__key__"].rpartition("/")
        label = int(sample["cls"])
        stem, place = rest.rsplit("-", 1)
        (extension,) = {"jpeg", "png"} & set(sample)
        original = folder / "train" / name / f"{stem.replace('_', '.')}.{'JPEG' if extension == 'jpeg' else 'png'}"
        assert sample[extension] == original.read_bytes()
        assert name == ("a cat", "dog.é")[label]
        assert 12 * label <= int(place) < 12 * label + 12
    assert [int(sample["cls"]) for sample in samples] != sorted(int(sample["cls"]) for sample in samples)


def test_packing_goes_on_where_it_was_stopped_and_ends_the_same(folder: Path, packed: Path, tmp_path: Path) -> None:
    told: Tell = []

    def stop(line: str) -> None:
        told.append(line)
        if len(told) == 2:
            raise KeyboardInterrupt

    other = tmp_path / "other"
    with pytest.raises(KeyboardInterrupt):
        pack(folder, other, 8000, told=stop)
    (other / ".train-000002.tar.0123456789ab.tmp").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"There is no .*pack\.json"):
        Shards(other)
    told.clear()
    pack(folder, other, 8000, told=told.append)
    assert ["is there" in line for line in told[:3]] == [True, True, False]
    assert {path.name: path.read_bytes() for path in other.iterdir()} == {
        path.name: path.read_bytes() for path in packed.iterdir()
    }


def cut_short(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes()[:-10240])


def remove_index(shard: Path) -> None:
    shard.with_suffix(".index").unlink()


@pytest.mark.parametrize("damage", [cut_short, remove_index, Path.unlink])
def test_packing_again_mends_what_is_not_whole(folder: Path, packed: Path, damage: Callable[[Path], None]) -> None:
    damage(packed / "train-000001.tar")
    told: Tell = []
    pack(folder, packed, 8000, told=told.append)
    assert [line.split()[0] for line in told if "written" in line] == ["train-000001.tar"]
    check(packed, told=lambda line: None)


def test_a_changed_image_is_packed_again(folder: Path, packed: Path) -> None:
    (folder / "train/a cat/3.x.JPEG").write_bytes((folder / "train/a cat/5.x.JPEG").read_bytes() + b"\0")
    told: Tell = []
    pack(folder, packed, 8000, told=told.append)
    assert sum("written" in line for line in told) >= 1
    ours, theirs = Shards(packed, holdout=0.2).split("train"), Folder(folder, holdout=0.2).split("train")
    assert all(torch.equal(ours[i][0], theirs[i][0]) for i in range(len(theirs)))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_short, r"train-000001\.tar has [\d,]+ bytes instead of [\d,]+; copy it again"),
        (Path.unlink, r"train-000001\.tar is missing; copy it again"),
        (remove_index, r"train-000001\.index is missing or damaged"),
    ],
)
def test_a_shard_that_is_not_whole_is_refused_before_training(
    packed: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(packed / "train-000001.tar")
    with pytest.raises(ValueError, match=message):
        Shards(packed, holdout=0.2).split("train")


def spoil(packed: Path) -> str:
    """Overwrites the first image of a shard."""
    split = Shards(packed, holdout=0.2).split("test")
    _, offset, length, _ = split.where[0].tolist()
    shard = split.shards[int(split.where[0, 0])]
    content = bytearray(shard.read_bytes())
    content[offset : offset + length] = bytes(length)
    shard.write_bytes(content)
    return shard.name


def test_a_damaged_shard_is_told_from_a_damaged_image(folder: Path, packed: Path) -> None:
    name = spoil(packed)
    with pytest.raises(ValueError, match=rf"a cat/0_x-0\.png in .*{name} is not what was packed .*shard is damaged"):
        Shards(packed, holdout=0.2).split("test")[0]
    with pytest.raises(ValueError, match=rf"The shard .*{name} is damaged: its SHA-256 is"):
        check(packed, told=lambda line: None)


def test_a_damaged_image_is_packed_as_it_is_and_replaced_as_in_the_folder(folder: Path, tmp_path: Path) -> None:
    (folder / "val/a cat/1.x.JPEG").write_bytes(b"nothing")
    pack(folder, tmp_path / "packed", 8000, told=lambda line: None)
    split = Shards(tmp_path / "packed", holdout=0.2).split("test")
    assert torch.equal(split[1][0], split[2][0])
    assert split.rules.damaged.names == {f"a cat/1_x-1.jpeg in {split.shards[int(split.where[1, 0])]}"}


def test_a_manifest_of_something_else_is_refused(packed: Path) -> None:
    (packed / "pack.json").write_text("{}")
    with pytest.raises(ValueError, match=r"pack\.json cannot be understood: schema is None.* Pack the folder again"):
        Shards(packed)


def test_a_split_travels_to_another_process_without_its_open_files(packed: Path) -> None:
    split = Shards(packed, holdout=0.2).split("train")
    expected = split[3]
    copy = pickle.loads(pickle.dumps(split))
    assert torch.equal(copy[3][0], expected[0])


def test_no_more_shards_are_open_than_allowed(packed: Path) -> None:
    split = Shards(packed, holdout=0.2).split("train")
    split.max_open = 2
    for i in range(len(split)):
        assert split[i][0].shape == (3, 48, 64)
        assert len(split._open) <= 2
