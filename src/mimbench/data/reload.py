"""Loaders with the settings of an existing one for another dataset or part."""

from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Subset

from mimbench.core import generator
from mimbench.data.loader import Batch
from mimbench.data.workers import SteadyLoader


def reload(loader: DataLoader[Batch], dataset: Dataset[Any]) -> DataLoader[Batch]:
    """A loader with the settings of this one over a complete other dataset, in order."""
    return SteadyLoader(
        dataset,
        batch_size=loader.batch_size,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        generator=torch.Generator(),  # otherwise each pass would advance PyTorch's default generator
    )


def some(loader: DataLoader[Batch], num_images: int) -> DataLoader[Batch]:
    """A loader over a fixed random choice of at most this many images, in order."""
    size = len(loader.dataset)  # pyright: ignore[reportArgumentType]
    index = torch.randperm(size, generator=generator(size))[:num_images].sort().values
    return reload(loader, Subset(loader.dataset, index.tolist()))
