"""Runs protocols on an encoder."""

import copy
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mimbench.encoders import Encoder
from mimbench.evaluation.base import FeatureProtocol, ImageProtocol, Protocol, Subject
from mimbench.evaluation.features.cache import DEFAULT_GIB, FeatureCache

Result = dict[str, Any]


def run_protocols(
    protocols: Iterable[Protocol], encoder: Encoder, datamodule: Any, **options: Any
) -> dict[str, Result]:
    """Metrics by label of the protocol; see `results` for options and errors."""
    return dict(results(protocols, encoder, datamodule, **options))


def results(
    protocols: Iterable[Protocol],
    encoder: Encoder,
    datamodule: Any,
    device: torch.device | str = "cpu",
    cache: Path | None = None,
    cache_gib: float = DEFAULT_GIB,
    directory: Path | None = None,
    trainer: Mapping[str, Any] | None = None,
    suffix: str = "",
) -> Iterator[tuple[str, Result]]:
    """Label and metrics of one protocol after another; each split passes through the encoder once for all of them.

    A result of parameters that are not the card's says which they are under "deviations".

    Args:
        cache: Where to keep features; see `FeatureCache`. None: in memory.
        directory: Where protocols that train may write, each into a folder of its label. None: nowhere lasting.
        trainer: See `Subject`.
        suffix: Ends every label, such as "@drop2".

    Raises:
        ValueError: Two protocols have one label, or the data do not suit a protocol.
    """
    by_label = labeled(protocols, datamodule)
    datamodule.prepare_data()
    encoder = encoder.to(device)
    wanted = set().union(*(protocol.reads(encoder.depth) for protocol in by_label.values()))
    features = FeatureCache(encoder, datamodule, device, cache, wanted | {f"patches-{encoder.depth}"}, cache_gib)
    for label, protocol in by_label.items():
        if isinstance(protocol, FeatureProtocol):
            metrics = protocol(features)
        else:
            assert isinstance(protocol, ImageProtocol)
            with _folder(directory, label + suffix) as folder:
                own = copy.deepcopy(encoder)
                subject = Subject(own, datamodule, features, torch.device(device), folder, dict(trainer or {}))
                metrics = protocol(subject)
        deviations = protocol.deviations()
        yield label + suffix, metrics | ({"deviations": deviations} if deviations else {})


def labeled(protocols: Iterable[Protocol], datamodule: Any) -> dict[str, Protocol]:
    """Protocols by label; ValueError where two have one, or the datamodule is not what one needs."""
    by_label: dict[str, Protocol] = {}
    for protocol in protocols:
        label = protocol.label
        if label in by_label:
            raise ValueError(f"Two protocols are called {label}; their results would mix. Remove one.")
        if not isinstance(datamodule, protocol.needs):
            raise ValueError(
                f"{label} works with data of type {protocol.needs.__name__}, got {type(datamodule).__name__}; choose "
                "other data or leave it out."
            )
        by_label[label] = protocol
    return by_label


@contextmanager
def _folder(directory: Path | None, label: str) -> Iterator[Path]:
    """A protocol's own folder, which stays if something was written there."""
    if directory is None:
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(scratch)
        return
    folder = directory / label
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()
