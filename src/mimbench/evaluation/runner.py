"""Runs protocols on an encoder."""

import copy
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
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
    """Returns metrics by label of the protocol; see `results` for options and errors."""
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
    announce: Callable[[str], None] | None = None,
) -> Iterator[tuple[str, Result]]:
    """Yields label and metrics of each protocol; the encoder runs once over each split for all of them.

    Results with parameters that differ from the card list them under "deviations".

    Args:
        cache: Directory of cached features, see `FeatureCache`; by default features stay in memory.
        directory: Protocols that train write into a folder of their label here; by default into a temporary directory.
        trainer: See `Subject`.
        suffix: Appended to each label, such as "@drop2".
        announce: Called with the label of a protocol before it starts.

    Raises:
        ValueError: Two protocols have the same label, or a protocol cannot use the data.
    """
    by_label = labeled(protocols, datamodule)
    datamodule.prepare_data()
    encoder = encoder.to(device)
    wanted = set().union(*(protocol.reads(encoder.depth) for protocol in by_label.values()))
    features = FeatureCache(encoder, datamodule, device, cache, wanted | {f"patches-{encoder.depth}"}, cache_gib)
    for label, protocol in by_label.items():
        if announce is not None:
            announce(label + suffix)
        if isinstance(protocol, FeatureProtocol):
            metrics = protocol(features)
        else:
            assert isinstance(protocol, ImageProtocol)
            with _folder(directory, label + suffix) as folder:
                subject = Subject(
                    copy.deepcopy(encoder), datamodule, features, torch.device(device), folder, dict(trainer or {})
                )
                metrics = protocol(subject)
        deviations = protocol.deviations()
        yield label + suffix, metrics | ({"deviations": deviations} if deviations else {})


def labeled(protocols: Iterable[Protocol], datamodule: Any) -> dict[str, Protocol]:
    """Protocols by label; raises ValueError if two have the same label or one needs another class of data module."""
    by_label: dict[str, Protocol] = {}
    for protocol in protocols:
        label = protocol.label
        if label in by_label:
            raise ValueError(f"Two protocols have the label {label}. Remove one.")
        if not isinstance(datamodule, protocol.needs):
            raise ValueError(
                f"{label} needs data of type {protocol.needs.__name__}, got {type(datamodule).__name__}; choose "
                "other data or leave it out."
            )
        by_label[label] = protocol
    return by_label


@contextmanager
def _folder(directory: Path | None, label: str) -> Iterator[Path]:
    """A folder for one protocol, which is removed if it stays empty."""
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
