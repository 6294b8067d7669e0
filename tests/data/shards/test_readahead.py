"""Shards read from end to end: the same images, resumable, few files open, read ahead."""

from collections import Counter
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image

from mimbench.data import ImageDataModule, Shards
from mimbench.data.images.rules import Rules
from mimbench.data.images.unreadable import Damaged
from mimbench.data.loader import TrainLoader
from mimbench.data.sampler import EpochSampler
from mimbench.data.shards.pack import pack
from mimbench.data.shards.readahead import AheadReader, StreamedSplit
from mimbench.data.shards.split import Reader, ShardSplit

NUM_SHARDS, PER_SHARD, LENGTH = 12, 20, 100


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("streamed")
    for split, count in (("train", 15), ("val", 2)):
        for place, name in enumerate(("cat", "dog")):
            (root / "folder" / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.random.default_rng(100 * place + number).integers(0, 256, (6, 8, 3), np.uint8)
                Image.fromarray(pixels).resize((64, 48)).save(root / "folder" / split / name / f"{number}.jpg")
    pack(root / "folder", root / "packed", 8000, told=lambda line: None)
    return root / "packed"


def module(packed: Path, num_workers: int = 0, buffer: int | None = 8) -> ImageDataModule:
    source = Shards(packed, holdout=0.2, shuffle_buffer=buffer)
    return ImageDataModule(source, image_size=24, batch_size=4, num_workers=num_workers, seed=5)


@pytest.fixture
def split(tmp_path: Path) -> StreamedSplit:
    """Samples of which every byte is the shard's number; the split's order is not the shards'."""
    shards = [tmp_path / f"{number}.tar" for number in range(NUM_SHARDS)]
    for number, shard in enumerate(shards):
        shard.write_bytes(bytes([number]) * LENGTH * PER_SHARD)
    places = [(shard, LENGTH * n, LENGTH, 0) for shard in range(NUM_SHARDS) for n in range(PER_SHARD)]
    where = np.random.default_rng(0).permutation(np.array(places))
    plain = ShardSplit(shards, where, torch.zeros(len(where), dtype=torch.long), Rules(Damaged(0)))
    return StreamedSplit(plain, buffer=30)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("stop", [1, 4])
def test_batches_are_the_same_with_any_workers_and_after_a_restart(packed: Path, num_workers: int, stop: int) -> None:
    expected = list(module(packed).train_dataloader())
    loader = module(packed, num_workers).train_dataloader()
    iterator = iter(loader)
    batches = [next(iterator) for _ in range(stop)]
    resumed = module(packed, num_workers).train_dataloader()
    resumed.load_state_dict(loader.state_dict())
    for ours, theirs in zip(batches + list(resumed), expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_ranks_share_a_step(packed: Path) -> None:
    dataset = module(packed)._augmented()
    order = dataset.split.order
    whole = list(TrainLoader(dataset, EpochSampler(dataset, 4, 5, order=order)))
    halves = [list(TrainLoader(dataset, EpochSampler(dataset, 4, 5, rank, 2, order=order))) for rank in (0, 1)]
    for step, *ranks in zip(whole, *halves, strict=True):
        assert torch.equal(torch.cat([rank.images for rank in ranks]), step.images)
    assert len({i for step in whole for i in step.index.tolist()}) == len(dataset) // 4 * 4


def test_only_the_order_of_training_differs(packed: Path) -> None:
    streamed, mixed = module(packed), module(packed, buffer=None)
    for name in ("train", "val", "test"):
        for ours, theirs in zip(streamed.plain(name), mixed.plain(name), strict=True):
            assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    first, second = (
        torch.cat([batch.index for batch in each.train_dataloader()]).tolist() for each in (streamed, mixed)
    )
    order = streamed.split("train").order(5, 0)
    assert first == order[: len(first)].tolist()
    assert first != second


def test_an_epoch_opens_every_shard_once(split: StreamedSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = list[Path]()
    split = split.for_training()
    monkeypatch.setattr(split, "_opened", lambda path: opened.append(path) or Reader(path))
    for epoch in range(3):
        opened.clear()
        split._open.clear()
        for i in split.order(0, epoch).tolist():
            assert split.read(i) == bytes([split.where[i, 0]]) * LENGTH
            assert len(split._open) <= 2 * 30 // PER_SHARD + 2 < NUM_SHARDS
        assert sorted(opened) == sorted(split.shards)


def test_everything_is_loaded_before_it_is_read_and_once(split: StreamedSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mimbench.data.shards.readahead.BLOCK", 630)
    monkeypatch.setattr("mimbench.data.shards.readahead.REQUEST", 210)
    asked: dict[int, Counter[int]] = {}

    def advise(descriptor: int, start: int, length: int, advice: int) -> None:
        asked.setdefault(descriptor, Counter()).update(range(start, start + length))

    monkeypatch.setattr("os.posix_fadvise", advise, raising=False)
    monkeypatch.setattr("os.POSIX_FADV_WILLNEED", 3, raising=False)
    split = split.for_training()
    split.max_open = NUM_SHARDS
    for i in split.order(0, 0).tolist():
        split.read(i)
        shard, offset, length, _ = split.where[i].tolist()
        loaded = asked[split._open[shard].descriptor]
        assert all(loaded[byte] == 1 for byte in range(offset, offset + length))
        assert loaded[offset + length - 1 + 630] == 1  # the next block too
    assert len(asked) == NUM_SHARDS
    for loaded in asked.values():
        assert set(loaded.values()) == {1}
        assert max(loaded) < LENGTH * PER_SHARD + 2 * 630


def test_only_training_reads_ahead(packed: Path) -> None:
    data = module(packed)
    plain, training = data.split("train"), data._augmented().split
    assert isinstance(plain, StreamedSplit)
    assert isinstance(training, StreamedSplit)
    for each, kind in ((plain, Reader), (training, AheadReader), (plain, Reader)):
        assert each.read(3) == plain.read(3)
        assert {type(reader) for reader in each._open.values()} == {kind}


@pytest.mark.parametrize("accumulate", [1, 2])
def test_lightning_trains_in_this_order(packed: Path, accumulate: int) -> None:
    data = module(packed)
    data.trainer = L.Trainer(
        accelerator="cpu", accumulate_grad_batches=accumulate, logger=False, enable_checkpointing=False
    )
    sampler = data._sampler(data._augmented())
    sampler.set_epoch(2)
    seen = np.concatenate([draw.index for draw in sampler])
    assert len(seen) == 24
    assert np.array_equal(seen, data.split("train").order(5, 2)[:24])


def test_a_buffer_of_nothing_is_refused(packed: Path) -> None:
    with pytest.raises(ValueError, match="shuffle_buffer is 0; mix at least 1 image, or all with None"):
        Shards(packed, shuffle_buffer=0)
