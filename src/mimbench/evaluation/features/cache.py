"""Features of the splits of a data module, extracted on first use."""

from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor

from mimbench.data import ImageDataModule
from mimbench.data.source import SplitName
from mimbench.encoders import Encoder
from mimbench.evaluation.features.extraction import LABELS, Features, assemble, fill, names, shapes
from mimbench.evaluation.features.fingerprint import key
from mimbench.evaluation.features.store import Shapes, Store

DEFAULT_GIB = 100


class FeatureCache:
    """Returns the features of a split; all protocols together cost one pass of the encoder per split.

    A split is read only when its features are requested. On disk, the key of an entry is computed from the weights and
    settings of the encoder and the labels and images of the split, so that all runs can share a directory.

    Args:
        device: Device of the encoder and of the protocols' computations.
        directory: Directory of memory-mapped features, see `Store`; by default they stay in memory.
        wanted: Names of the features; by default all of the encoder.
        max_gib: Limit of the size of the directory in GiB.
    """

    def __init__(
        self,
        encoder: Encoder,
        datamodule: ImageDataModule,
        device: torch.device | str = "cpu",
        directory: Path | None = None,
        wanted: Collection[str] | None = None,
        max_gib: float = DEFAULT_GIB,
    ):
        self.encoder, self.datamodule, self.device = encoder, datamodule, torch.device(device)
        self.wanted = names(encoder, range(encoder.depth + 1)) if wanted is None else set(wanted)
        self.store = None if directory is None else Store(directory, int(max_gib * 2**30))
        self._splits: dict[SplitName, Features] = {}

    def __call__(self, split: SplitName) -> Features:
        if split not in self._splits:
            rows = self._in_memory(split) if self.store is None else self._on_disk(self.store, split)
            self._splits[split] = assemble(rows, self.device)
        return self._splits[split]

    def _in_memory(self, split: SplitName) -> dict[str, Tensor]:
        rows = {name: torch.empty(shape, dtype=dtype) for name, (shape, dtype) in self._shapes(split).items()}
        self._fill(rows, split)
        return rows

    def _on_disk(self, store: Store, split: SplitName) -> dict[str, Tensor]:
        wanted = self._shapes(split)
        with store.entry(key(self.encoder, self.datamodule, split)) as folder:
            missing = {name: wanted[name] for name in wanted.keys() - store.read(folder, set(wanted)).keys()}
            if missing:
                with store.writing(folder, {LABELS: wanted[LABELS]} | missing) as rows:
                    self._fill(rows, split)
            return store.read(folder, set(wanted))

    def _shapes(self, split: SplitName) -> Shapes:
        size = len(self.datamodule.split(split))
        return {name: ((size, *tail), dtype) for name, (tail, dtype) in shapes(self.encoder, self.wanted).items()}

    def _fill(self, rows: dict[str, Tensor], split: SplitName) -> None:
        fill(rows, self.encoder, self.datamodule.plain(split), self.device)
