"""The contract of a protocol."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

import torch

from mimbench.data import ImageDataModule
from mimbench.data.source import SplitName
from mimbench.encoders import Encoder
from mimbench.evaluation.features.extraction import Features
from mimbench.evaluation.probes.labels import check_labels

FeatureSource = Callable[[SplitName], Features]

_LONGEST_TAG = 24


@dataclass(frozen=True)
class Subject:
    """What an `ImageProtocol` is given.

    Attributes:
        encoder: A copy of its own, on `device`; it may be trained or cut.
        datamodule: An instance of the protocol's `needs`, prepared.
        features: Cached features of the unchanged encoder by split, shared with all other protocols.
        device: Where to compute.
        directory: For logs and checkpoints; it exists, and what an interrupted call left there is still there.
        trainer: What Lightning's Trainer is told about accelerator, devices, strategy, precision and accumulation.
    """

    encoder: Encoder
    datamodule: Any
    features: FeatureSource
    device: torch.device
    directory: Path
    trainer: Mapping[str, Any] = field(default_factory=dict)


class Protocol(ABC):
    """A fixed way to turn an encoder into a number.

    The docstring of a protocol is its card: features, augmentation, normalization, head, optimizer, grid, what is
    chosen on which split. Whatever changes a number under unchanged parameters needs a new version in the name.
    A protocol is a dataclass whose fields all have defaults: those of the card. Fields that cannot change a number
    are marked `field(metadata={"card": False})`.

    Attributes:
        name: Name and version, such as "knn-v1".
        needs: The kind of datamodule it works with.
    """

    name: str
    needs: ClassVar[type] = ImageDataModule

    def check(self, datamodule: Any) -> None:
        """Raises ValueError for data that this protocol cannot read; asked before anything is trained.

        Unless overridden, all images of the training split must have labels.
        """
        check_labels(datamodule.split("train").labels, "train")

    def reads(self, depth: int) -> set[str]:
        """Names of the cached features that it reads, such as "patches-12" and "token-12"; see `Features`.

        Args:
            depth: The encoder's.
        """
        return set()

    @property
    def label(self) -> str:
        """The name; parameters that are not the card's add a tag, as in "linear-v1+epochs=5"."""
        return self.name + tag(self.deviations())

    def card(self) -> "Protocol":
        """The protocol with the card's parameters."""
        return type(self)()

    def deviations(self) -> dict[str, Any]:
        """Parameters that differ from the card's, by name."""
        found: dict[str, Any] = {}
        card = self.card()
        for parameter in fields(self):  # pyright: ignore[reportArgumentType]
            if not parameter.metadata.get("card", True):
                continue
            own, theirs = getattr(self, parameter.name), getattr(card, parameter.name)
            if isinstance(own, Protocol) and type(own) is type(theirs):
                found |= {f"{parameter.name}.{name}": value for name, value in own.deviations().items()}
            elif own != theirs:
                found[parameter.name] = list(own) if isinstance(own, tuple) else own
        return found


class FeatureProtocol(Protocol):
    """A protocol that reads frozen features."""

    def reads(self, depth: int) -> set[str]:
        return {f"patches-{depth}"}

    @abstractmethod
    def __call__(self, features: FeatureSource) -> dict[str, Any]:
        """Metrics as JSON-able values; accuracies are fractions.

        Everything is chosen on "train" and "val" before "test" is asked for.
        """


class ImageProtocol(Protocol):
    """A protocol that reads images, or trains the encoder."""

    @abstractmethod
    def __call__(self, subject: Subject) -> dict[str, Any]:
        """Metrics as JSON-able values; accuracies are fractions.

        Everything is chosen on "train" and "val" before "test" is read, once.
        """


def tag(deviations: Mapping[str, Any]) -> str:
    """Nothing for nothing, "+name=value" for each where that is short and fit for a file's name, else six digits."""
    text = "".join(f"+{name}={_text(value)}" for name, value in sorted(deviations.items()))
    if len(text) <= _LONGEST_TAG and all(sign.isalnum() or sign in "+=,._-" for sign in text):
        return text
    return f"+{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _text(value: Any) -> str:
    return ",".join(map(_text, value)) if isinstance(value, (list, tuple)) else str(value)
