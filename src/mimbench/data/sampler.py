"""Order of training images: one permutation per epoch, divided into optimizer steps and micro-batches."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64
from torch.utils.data import Dataset, DistributedSampler

from mimbench.data.order import Order, shuffled


class Draw(NamedTuple):
    """The samples of one micro-batch, and the epoch, which determines their augmentation."""

    epoch: int
    index: Int64[np.ndarray, " b"]


class EpochSampler(DistributedSampler[Draw]):
    """Step k uses images perm[k * batch_size : (k + 1) * batch_size], on any number of devices and micro-batches.

    Micro-batch a of rank r is a slice of them; a smaller last step is dropped. Lightning does not replace a
    DistributedSampler and calls its `set_epoch`.

    Args:
        batch_size: Effective batch, images per optimizer step over all ranks and micro-batches.
        accumulate: Micro-batches per optimizer step.
        order: Maps (seed, epoch) to a permutation of the images; by default a full shuffle.
        start: Number of micro-batches of the current epoch that are done.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        accumulate: int = 1,
        order: Callable[[int, int], Order] | None = None,
    ) -> None:
        super().__init__(dataset, num_replicas=world_size, rank=rank, seed=seed, drop_last=True)
        self.length = len(dataset)  # pyright: ignore[reportArgumentType]
        self.batch_size, self.accumulate, self.start = batch_size, accumulate, 0
        self.order = order or partial(shuffled, self.length)
        if batch_size < 1 or batch_size % (world_size * accumulate):
            raise ValueError(
                f"The effective batch of {batch_size} images cannot be shared by {world_size} devices x {accumulate} "
                f"accumulated batches; use a multiple of {world_size * accumulate}."
            )
        if batch_size > self.length:
            raise ValueError(
                f"The effective batch of {batch_size} is larger than the training set of {self.length} images; "
                f"set batch_size to at most {self.length}."
            )

    def set_epoch(self, epoch: int) -> None:
        """Starts an epoch at its first batch; setting the current epoch again keeps a restored position."""
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0

    def __len__(self) -> int:
        return self.length // self.batch_size * self.accumulate

    def __iter__(self) -> Iterator[Draw]:
        steps = self.order(self.seed, self.epoch)[: self.length // self.batch_size * self.batch_size]
        micro = steps.reshape(len(self), self.num_replicas, -1)[:, self.rank]
        for index in micro[self.start :]:
            yield Draw(self.epoch, index)
