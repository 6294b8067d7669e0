"""Base classes of evaluation protocols."""

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
    """The inputs of an `ImageProtocol`.

    Attributes:
        encoder: A copy of the encoder on `device`, which the protocol may change.
        datamodule: A prepared instance of the class `needs` of the protocol.
        features: Returns cached features of the original encoder by split, shared with all other protocols.
        device: Device for computations.
        directory: Existing directory for logs and checkpoints; files of an interrupted call are still there.
        trainer: Arguments of Lightning's Trainer: accelerator, devices, strategy, precision and accumulation.
    """

    encoder: Encoder
    datamodule: Any
    features: FeatureSource
    device: torch.device
    directory: Path
    trainer: Mapping[str, Any] = field(default_factory=dict)


class Protocol(ABC):
    """A fixed procedure that measures the quality of an encoder.

    The docstring of a protocol is its card: features, augmentation, normalization, head, optimizer, grid, and what is
    selected on which split. A change that alters results with equal parameters needs a new version in the name.
    A protocol is a dataclass whose fields have defaults, which are those of the card. Fields that cannot change a
    result are marked `field(metadata={"card": False})`.

    Attributes:
        name: Name and version, such as "knn-v1".
        needs: The required class of data module.
    """

    name: str
    needs: ClassVar[type] = ImageDataModule

    def check(self, datamodule: Any) -> None:
        """Raises ValueError for data that this protocol cannot use; called before training.

        Unless overridden, all images of the training split must have labels.
        """
        check_labels(datamodule.split("train").labels, "train")

    def reads(self, depth: int) -> set[str]:
        """Names of the cached features that the protocol reads, such as "patches-12" and "token-12"; see `Features`.

        Args:
            depth: Depth of the encoder.
        """
        return set()

    @property
    def label(self) -> str:
        """The name with a tag of the parameters that differ from the card, as in "linear-v1+epochs=5"."""
        return self.name + tag(self.deviations())

    def card(self) -> "Protocol":
        """The protocol with the parameters of the card."""
        return type(self)()

    def deviations(self) -> dict[str, Any]:
        """Parameters that differ from the card, by name."""
        found: dict[str, Any] = {}
        card = self.card()
        for parameter in fields(self):  # pyright: ignore[reportArgumentType]
            if not parameter.metadata.get("card", True):
                continue
            own, default = getattr(self, parameter.name), getattr(card, parameter.name)
            if isinstance(own, Protocol) and type(own) is type(default):
                found |= {f"{parameter.name}.{name}": value for name, value in own.deviations().items()}
            elif own != default:
                found[parameter.name] = list(own) if isinstance(own, tuple) else own
        return found


class FeatureProtocol(Protocol):
    """A protocol that reads frozen features."""

    def reads(self, depth: int) -> set[str]:
        return {f"patches-{depth}"}

    @abstractmethod
    def __call__(self, features: FeatureSource) -> dict[str, Any]:
        """Metrics as JSON-able values; accuracies are fractions.

        Everything is selected on "train" and "val" before "test" is read.
        """


class ImageProtocol(Protocol):
    """A protocol that reads images, or trains the encoder."""

    @abstractmethod
    def __call__(self, subject: Subject) -> dict[str, Any]:
        """Metrics as JSON-able values; accuracies are fractions.

        Everything is selected on "train" and "val" before "test" is read once.
        """


def tag(deviations: Mapping[str, Any]) -> str:
    """`+name=value` for each deviation if that is short and valid in a file name, otherwise + and six hex digits."""
    text = "".join(f"+{name}={_text(value)}" for name, value in sorted(deviations.items()))
    if len(text) <= _LONGEST_TAG and all(sign.isalnum() or sign in "+=,._-" for sign in text):
        return text
    return f"+{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _text(value: Any) -> str:
    return ",".join(map(_text, value)) if isinstance(value, (list, tuple)) else str(value)
