"""The contract of a protocol."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

import torch

from mimbench.data import ImageDataModule
from mimbench.data.source import SplitName
from mimbench.encoders import Encoder
from mimbench.evaluation.cache import FeatureCache
from mimbench.evaluation.features import Features

FeatureSource = Callable[[SplitName], Features]


class Protocol(ABC):
    """A fixed way to turn features into a number.

    The docstring of a protocol is its card: features, normalisation, head, optimiser, grid, what is chosen on which
    split. Whatever changes a number under unchanged parameters needs a new version in the name.

    Attributes:
        name: Name and version, such as "knn-v1".
    """

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, features: FeatureSource) -> dict[str, Any]:
        """Metrics as JSON-able values; accuracies are fractions.

        Everything is chosen on "train" and "val" before "test" is asked for.
        """


def run_protocols(
    protocols: Iterable[Protocol],
    encoder: Encoder,
    datamodule: ImageDataModule,
    device: torch.device | str = "cpu",
    directory: Path | None = None,
) -> dict[str, dict[str, Any]]:
    """Metrics by name of the protocol; each split passes through the encoder once for all of them.

    Args:
        directory: Where to keep the features; see `FeatureCache`.

    Raises:
        ValueError: Two protocols have one name, or the data do not suit a protocol.
    """
    by_name: dict[str, Protocol] = {}
    for protocol in protocols:
        if protocol.name in by_name:
            raise ValueError(f"Two protocols are called {protocol.name}; their results would mix. Remove one.")
        by_name[protocol.name] = protocol
    datamodule.prepare_data()
    cache = FeatureCache(encoder, datamodule, device, directory)
    return {name: protocol(cache) for name, protocol in by_name.items()}
