"""Folders of pictures packed into shards."""

import io
import os
import tarfile
import zlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from mimbench.data.damaged import Damaged
from mimbench.data.encoded import EncodedSplit
from mimbench.data.holdout import HoldOut, stratified_holdout
from mimbench.data.packed import Index, Manifest, check_whole
from mimbench.data.source import Source, SplitName

MAX_OPEN = 128


class ShardSplit(EncodedSplit):
    """Samples anywhere in some shards, each read by one call.

    Args:
        where: Shard, offset, length and CRC-32 of every sample.
    """

    def __init__(
        self,
        shards: list[Path],
        where: Int64[np.ndarray, "n 4"],
        labels: Int64[Tensor, " n"],
        damaged: Damaged,
        min_size: int,
    ) -> None:
        self.shards, self.where, self.labels = shards, where, labels
        self.damaged, self.min_size = damaged, min_size
        self._open: dict[int, Reader] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}  # a process opens its own

    def subset(self, index: Int64[Tensor, " m"]) -> "ShardSplit":
        """Some samples."""
        return ShardSplit(self.shards, self.where[index.numpy()], self.labels[index], self.damaged, self.min_size)

    def read(self, i: int) -> bytes:
        """A sample's picture as its file had it."""
        shard, offset, length, _ = self.where[i].tolist()
        return self._reader(shard).read(length, offset)

    def stream(self, i: int) -> io.BytesIO:
        return io.BytesIO(self.read(i))

    def title(self, i: int) -> str:
        shard, offset, _, _ = self.where[i].tolist()
        header = self._reader(shard).read(tarfile.BLOCKSIZE, offset - tarfile.BLOCKSIZE)
        try:
            name = tarfile.TarInfo.frombuf(header, "utf-8", "replace").name
        except tarfile.HeaderError:
            name = f"sample {i}"
        return f"{name} in {self.shards[shard]}"

    def refuse(self, i: int, error: Exception) -> None:
        """Raises ValueError where the shard, not the picture, is damaged."""
        if zlib.crc32(self.read(i)) != self.where[i, 3]:
            raise ShardDamagedError(
                f"{self.title(i)} is not what was packed (its CRC-32 differs), so the shard is damaged; "
                "`mimbench data check` finds all such shards. Copy it again, or delete it and pack again."
            ) from error
        super().refuse(i, error)

    def _reader(self, shard: int) -> "Reader":
        if shard not in self._open:
            if len(self._open) >= MAX_OPEN:
                del self._open[next(iter(self._open))]
            self._open[shard] = Reader(self.shards[shard])
        return self._open[shard]


class Reader:
    """An open file without a position, so that forked workers may share it."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)

    def read(self, length: int, offset: int) -> bytes:
        return os.pread(self._descriptor, length, offset)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)


class ShardDamagedError(ValueError):
    """A shard has other bytes than were written."""


class Shards(Source):
    """What `mimbench data pack` made of a folder; trains on the same pictures in the same order as that folder.

    ValueError, before any training, for shards that are missing or of another size than written.

    Args:
        root: Where pack.json lies.
        holdout: Fraction of every class of train/ that becomes "val".
        max_damaged: Damaged pictures tolerated per process.
        min_size: Smallest side of a picture in pixels; take the patch size.
        seed: Decides the hold-out. Part of the dataset, not of a run.
    """

    def __init__(
        self,
        root: str | Path,
        image_size: int = 224,
        holdout: float = 0.02,
        max_damaged: int = 10,
        min_size: int = 16,
        seed: int = 0,
    ) -> None:
        self.root, self.image_size, self.holdout, self.seed = Path(root), image_size, holdout, seed
        self.min_size, self.damaged = min_size, Damaged(max_damaged)
        self.manifest = Manifest.read(self.root)
        for shards in self.manifest.shards.values():
            for shard in shards:
                check_whole(self.root / shard.file, shard)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.manifest.classes

    @property
    def num_train(self) -> int:
        """Pictures of the "train" split."""
        return len(self._holdout.kept)

    def split(self, name: SplitName) -> ShardSplit:
        if name == "test":
            return self._part("val")
        return self._train.subset(self._holdout.held if name == "val" else self._holdout.kept)

    @cached_property
    def _train(self) -> ShardSplit:
        return self._part("train")

    @cached_property
    def _holdout(self) -> HoldOut:
        return stratified_holdout(self._train.labels, self.holdout, self.seed)

    def _part(self, part: str) -> ShardSplit:
        shards = self.manifest.shards[part]
        files = [self.root / shard.file for shard in shards]
        rows = [Index.read(file, shard.num_samples).rows for file, shard in zip(files, shards, strict=True)]
        number = np.repeat(np.arange(len(shards)), [len(each) for each in rows])
        table = np.concatenate(rows)
        order = np.argsort(table[:, 0])  # as in the folder
        where = np.column_stack([number, table[:, 2:]])[order]
        return ShardSplit(files, where, torch.from_numpy(table[order, 1]), self.damaged, self.min_size)
