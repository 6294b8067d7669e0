"""The order of training: one global permutation per epoch, cut into optimizer steps, then into micro-batches."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64
from torch.utils.data import Dataset, DistributedSampler

from mimbench.data.order import Order, shuffled


class Draw(NamedTuple):
    """The samples of one micro-batch, with the epoch that decides their augmentation."""

    epoch: int
    index: Int64[np.ndarray, " b"]


class EpochSampler(DistributedSampler[Draw]):
    """Step k takes images perm[k * batch_size : (k + 1) * batch_size], on any number of devices and micro-batches.

    Micro-batch a of rank r is one slice of them; a last, smaller step is dropped. Being a DistributedSampler it is left
    in place by `Trainer(use_distributed_sampler=True)` and gets `set_epoch` from Lightning.

    Args:
        batch_size: Effective batch, images per optimizer step over all ranks and micro-batches.
        accumulate: Micro-batches per optimizer step.
        order: From (seed, epoch) to a permutation of the images; a full shuffle if None.
        start: Micro-batches of the current epoch that are already done.
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
        """A new epoch starts at its first batch; naming the current one again keeps a restored position."""
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0

    def __len__(self) -> int:
        return self.length // self.batch_size * self.accumulate

    def __iter__(self) -> Iterator[Draw]:
        steps = self.order(self.seed, self.epoch)[: self.length // self.batch_size * self.batch_size]
        micro = steps.reshape(len(self), self.num_replicas, -1)[:, self.rank]
        for index in micro[self.start :]:
            yield Draw(self.epoch, index)
