"""Shards that training reads sequentially once per epoch."""

import copy
import os
from pathlib import Path

import numpy as np

from mimbench.data.order import Order, buffered
from mimbench.data.shards.split import Reader, ShardSplit

BLOCK = 16 * 2**20
REQUEST = 128 * 2**10  # Linux limits requests to the size that a disk reads at once, often this


class StreamedSplit(ShardSplit):
    """A split that is read shard by shard with a shuffle buffer; the next data are read ahead.

    Args:
        buffer: Number of images that are mixed; they should fit into the page cache.
    """

    def __init__(self, split: ShardSplit, buffer: int) -> None:
        super().__init__(split.shards, split.where, split.labels, split.rules)
        self.buffer, self.reads_ahead = buffer, False
        fewest = int(np.unique(self.where[:, 0], return_counts=True)[1].min())
        self.max_open = min(
            self.max_open, 2 * buffer // fewest + 2
        )  # number of shards whose images are mixed at a time

    def order(self, seed: int, epoch: int) -> Order:
        return buffered(self.where[:, :2], self.buffer, seed, epoch)

    def for_training(self) -> "StreamedSplit":
        split = copy.copy(self)
        split.reads_ahead = True
        return split

    def _opened(self, path: Path) -> Reader:
        return AheadReader(path) if self.reads_ahead else super()._opened(path)


class AheadReader(Reader):
    """Requests that the system loads the block of a file that is being read, and the next one."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._loaded: set[int] = set()

    def read(self, length: int, offset: int) -> bytes:
        for block in range(offset // BLOCK, (offset + length - 1) // BLOCK + 2):
            if block not in self._loaded:
                self._loaded.add(block)
                self._load(block)
        return super().read(length, offset)

    def _load(self, block: int) -> None:
        if hasattr(os, "posix_fadvise"):  # not available on macOS
            for start in range(block * BLOCK, (block + 1) * BLOCK, REQUEST):
                os.posix_fadvise(self.descriptor, start, REQUEST, os.POSIX_FADV_WILLNEED)
