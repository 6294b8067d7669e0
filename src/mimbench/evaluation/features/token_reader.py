"""Patch tokens of frozen encoders, which are too large to cache on disk."""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.utils.data import DataLoader

from mimbench.data import Batch, ImageDataModule
from mimbench.data.source import SplitName
from mimbench.data.workers import SteadyLoader
from mimbench.encoders import Encoder


class TokenReader:
    """Patch tokens of a split in any order, from memory or computed by the encoder.

    Attributes:
        rows: The tokens of all images "n t d", or None if they are computed on each request.
    """

    def __init__(
        self, encoder: Encoder, data: ImageDataModule, split: SplitName, device: torch.device, resident_gib: float
    ):
        self.encoder, self.device, self.plain = encoder, device, data.plain(split)
        self.labels, tap = data.split(split).labels, encoder.taps[-1]
        shape = len(self.labels), tap.grid[0] * tap.grid[1], tap.width
        self.rows: Tensor | None = None
        if math.prod(shape) * 4 <= resident_gib * 2**30:
            self.rows, done = torch.empty(shape), 0
            for batch in self.plain:
                self.rows[done : done + len(batch.labels)] = self._encode(batch)
                done += len(batch.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __call__(
        self, order: Int64[Tensor, " n"], batch_size: int
    ) -> Iterator[tuple[Float[Tensor, "b t d"], Int64[Tensor, " b"]]]:
        """Yields tokens and labels of the images in `order`."""
        if self.rows is not None:
            for index in order.split(batch_size):
                yield self.rows[index].to(self.device), self.labels[index].to(self.device)
            return
        for batch in self._loader(order, batch_size):
            yield self._encode(batch), batch.labels.to(self.device)

    def _loader(self, order: Tensor, batch_size: int) -> DataLoader[Batch]:
        return SteadyLoader(
            self.plain.dataset,
            batch_size=batch_size,
            sampler=order.tolist(),
            num_workers=self.plain.num_workers,
            collate_fn=self.plain.collate_fn,
            generator=torch.Generator(),  # otherwise each pass would advance PyTorch's default generator
        )

    @torch.no_grad()
    def _encode(self, batch: Batch) -> Tensor:
        with torch.autocast(self.device.type, enabled=False):
            depth = self.encoder.depth
            return self.encoder(batch.images.to(self.device), [depth])[depth].patches.float()
