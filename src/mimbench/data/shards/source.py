"""Folders of images packed into shards."""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from mimbench.data.holdout import HoldOut, stratified_holdout
from mimbench.data.images.rules import Rules
from mimbench.data.images.unreadable import Damaged
from mimbench.data.shards.manifest import Index, Manifest, check_whole
from mimbench.data.shards.readahead import StreamedSplit
from mimbench.data.shards.split import ShardSplit
from mimbench.data.source import Source, SplitName


class Shards(Source):
    """A folder packed by `mimbench data pack`, with the same splits as the folder.

    Raises ValueError before training if shards are missing or have another size, or one of the
    images that are checked is smaller than min_size.

    Args:
        root: Folder of pack.json.
        holdout: Fraction of every class of train/ that becomes "val".
        max_damaged: Damaged images allowed per process.
        min_size: Smallest side of an image in pixels; take the patch size.
        upright: Whether images are rotated and mirrored as the orientation in their EXIF data says.
        seed: Determines the hold-out. Part of the dataset, not of a run.
        shuffle_buffer: Number of images, those of a few shards, that are mixed while training reads shards
            sequentially in random order. None for a full shuffle in the same order as for the folder.
    """

    def __init__(
        self,
        root: str | Path,
        image_size: int = 224,
        holdout: float = 0.02,
        max_damaged: int = 10,
        min_size: int = 16,
        seed: int = 0,
        shuffle_buffer: int | None = None,
        upright: bool = False,
    ) -> None:
        if shuffle_buffer is not None and shuffle_buffer < 1:
            raise ValueError(f"shuffle_buffer is {shuffle_buffer}; mix at least 1 image, or all with None.")
        self.shuffle_buffer = shuffle_buffer
        self.root, self.image_size, self.holdout, self.seed = Path(root), image_size, holdout, seed
        self.rules = Rules(Damaged(max_damaged), min_size, upright)
        self.manifest = Manifest.read(self.root)
        for shards in self.manifest.shards.values():
            for shard in shards:
                check_whole(self.root / shard.file, shard)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.manifest.classes

    @property
    def num_train(self) -> int:
        """Number of images in "train"."""
        return len(self._holdout.kept)

    def split(self, name: SplitName) -> ShardSplit:
        if name == "test":
            split = self._part("val")
        else:
            split = self._train.subset(self._holdout.held if name == "val" else self._holdout.kept)
        split.check_headers()  # not of parts that are only counted, as for a plan
        return split if name != "train" or self.shuffle_buffer is None else StreamedSplit(split, self.shuffle_buffer)

    @cached_property
    def _train(self) -> ShardSplit:
        return self._part("train")

    @cached_property
    def _holdout(self) -> HoldOut:
        return stratified_holdout(self._train.labels, self.holdout, self.seed)

    def _part(self, part: str) -> ShardSplit:
        shards = self.manifest.shards[part]
        files = [self.root / shard.file for shard in shards]
        rows = [
            Index.read(file, shard.num_samples, shard.num_bytes).rows for file, shard in zip(files, shards, strict=True)
        ]
        number = np.repeat(np.arange(len(shards)), [len(each) for each in rows])
        table = np.concatenate(rows)
        if len(table) and table[:, 1].max() >= len(self.classes):
            raise ValueError(f"{self.root}: a shard of {part} has labels beyond the {len(self.classes)} classes.")
        order = np.argsort(table[:, 0])  # as in the folder
        where = np.column_stack([number, table[:, 2:]])[order]
        return ShardSplit(files, where, torch.from_numpy(table[order, 1]), self.rules)
