"""Batches of a split for training, with a loader that resumes within an epoch, and for evaluation."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from mimbench.data.sampler import Draw, EpochSampler
from mimbench.data.source import Split
from mimbench.data.transforms import EvalTransform, TrainTransform, normalize_bytes
from mimbench.data.workers import SteadyLoader


class Batch(NamedTuple):
    """Images normalized with ImageNet's statistics; `index` is their position in the split."""

    images: Float32[Tensor, "b 3 h w"]
    labels: Int64[Tensor, " b"]
    index: Int64[Tensor, " b"]


class RawBatch(NamedTuple):
    """Images of 8 bits, cropped but not normalized; `index` is their position in the split.

    A quarter of the bytes of a `Batch` travel to the device, which normalizes them.
    """

    images: UInt8[Tensor, "b 3 h w"]
    labels: Int64[Tensor, " b"]
    index: Int64[Tensor, " b"]

    def normalized(self) -> Batch:
        return Batch(normalize_bytes(self.images), self.labels, self.index)


class TrainSet(Dataset[Batch | RawBatch]):
    """A split under training augmentation; its items are whole batches.

    Args:
        raw: Whether images decoded from files stay a `RawBatch`, if their colors are not augmented; otherwise every
            item is a `Batch`.
    """

    def __init__(self, split: Split, transform: TrainTransform, raw: bool = False) -> None:
        self.split, self.transform, self.raw = split, transform, raw

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, draw: Draw) -> Batch | RawBatch:
        images, labels = self.transform.read(self.split, draw.index, draw.epoch)
        index = torch.from_numpy(draw.index)
        if images.dtype != torch.uint8:
            return Batch(images, labels, index)
        batch = RawBatch(images, labels, index)
        return batch if self.raw else batch.normalized()


class PlainSet(Dataset[Batch]):
    """A split with the evaluation transform."""

    def __init__(self, split: Split, transform: EvalTransform) -> None:
        self.split, self.transform = split, transform

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, i: int) -> Batch:
        return self.__getitems__([i])

    def __getitems__(self, indices: list[int]) -> Batch:
        """Loads a whole batch; PyTorch's loader prefers this method."""
        images = self.split.take(indices)
        return Batch(self.transform(images), images.labels, torch.from_numpy(np.array(indices, np.int64)))


class TrainLoader(SteadyLoader):
    """A training loader with the state (epoch, batch), from which, with seed and sample index, all random draws follow.

    Lightning stores `state_dict` in its checkpoints. A batch counts as done once it was returned.
    """

    sampler: EpochSampler

    def __init__(self, dataset: TrainSet, sampler: EpochSampler, num_workers: int = 0, **options: Any) -> None:
        super().__init__(dataset, batch_size=None, sampler=sampler, num_workers=num_workers, **options)
        self._position = (sampler.epoch, 0)

    def __iter__(self) -> Iterator[Batch | RawBatch]:  # pyright: ignore[reportIncompatibleMethodOverride]
        # A generator: the order is read at the first batch, after Lightning has announced the epoch.
        epoch, start = self.sampler.epoch, self.sampler.start
        for done, batch in enumerate(super().__iter__(), start + 1):
            self._position, self.sampler.start = (epoch, done), 0
            yield batch

    def state_dict(self) -> dict[str, int]:
        epoch, batch = self._position
        return {"epoch": epoch, "batch": batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._position = state["epoch"], state["batch"]
        self.sampler.set_epoch(state["epoch"])
        self.sampler.start = state["batch"]
