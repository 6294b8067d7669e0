"""Images in shards, each read with one system call."""

import io
import os
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from torch import Tensor

from mimbench.data.images.decoding import EncodedSplit
from mimbench.data.images.rules import Rules

MAX_OPEN = 128


class ShardSplit(EncodedSplit):
    """Samples at arbitrary positions in shards.

    Args:
        where: Shard, offset, length and CRC-32 of each sample.
    """

    max_open = MAX_OPEN

    def __init__(
        self,
        shards: list[Path],
        where: Int64[np.ndarray, "n 4"],
        labels: Int64[Tensor, " n"],
        rules: Rules,
    ) -> None:
        self.shards, self.where, self.labels = shards, where, labels
        self.rules = rules
        self._open: dict[int, Reader] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}  # each process opens its own files

    def subset(self, index: Int64[Tensor, " m"]) -> "ShardSplit":
        """A part of the samples."""
        return ShardSplit(self.shards, self.where[index.numpy()], self.labels[index], self.rules)

    def check_headers(self, at_most: int = 512) -> None:
        """As for other images, but of fewer: each is read as a whole. Leaves no shard open."""
        super().check_headers(at_most)
        self._open.clear()

    def read(self, i: int) -> bytes:
        """The bytes of an image file."""
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
        """Raises ValueError if the shard is damaged, in contrast to a damaged image."""
        if zlib.crc32(self.read(i)) != self.where[i, 3]:
            raise ShardDamagedError(
                f"{self.title(i)} is not what was packed (its CRC-32 differs), so the shard is damaged; "
                "`mimbench data check` finds all such shards. Copy it again, or delete it and pack again."
            ) from error
        super().refuse(i, error)

    def _reader(self, shard: int) -> "Reader":
        if shard not in self._open:
            if len(self._open) >= self.max_open:  # the file that was opened first is closed
                del self._open[next(iter(self._open))]
            self._open[shard] = self._opened(self.shards[shard])
        return self._open[shard]

    def _opened(self, path: Path) -> "Reader":
        return Reader(path)


class Reader:
    """An open file that is read at given positions, so that forked workers can share it."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY)

    def read(self, length: int, offset: int) -> bytes:
        return os.pread(self.descriptor, length, offset)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


class ShardDamagedError(ValueError):
    """A shard has other content than was written."""
