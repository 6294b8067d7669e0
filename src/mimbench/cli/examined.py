"""One encoder under examination: its weights, its images and what is computed of them once."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mimbench.analysis.tokens import mean_tokens
from mimbench.cli.build import method_of
from mimbench.cli.mistakes import Mistake
from mimbench.cli.subjects import CHECKPOINT, Candidate
from mimbench.data.reload import some
from mimbench.data.source import SplitName
from mimbench.encoders import Encoder
from mimbench.methods import Method
from mimbench.weights.architecture import Architecture
from mimbench.weights.building import build
from mimbench.weights.store import ENCODER, METHOD, load_encoder, load_method, notes_of


class NotApplicable(Exception):
    """An analysis that makes no sense for this encoder; the message says why."""


@dataclass(frozen=True)
class Sample:
    """Some images of a split, the same for every encoder that is shown them.

    Attributes:
        data: The datamodule's configuration.
    """

    data: dict[str, Any]
    datamodule: Any
    split: SplitName
    num_images: int
    device: torch.device

    def batches(self, at_most: int | None = None) -> Iterator[Tensor]:
        """Images in batches on the device; a fixed random choice where there are more."""
        wanted = min(self.num_images, at_most or self.num_images)
        for batch in some(self.datamodule.plain(self.split), wanted):
            yield batch.images.to(self.device)

    def images(self, num: int) -> Tensor:
        """That many images, or all, as one batch."""
        return torch.cat(list(self.batches(num)))

    def __len__(self) -> int:
        return min(self.num_images, len(self.datamodule.split(self.split)))


class Examined:
    """A run, a checkpoint or imported weights, and the images it is examined with.

    Args:
        path: What the user named.
    """

    def __init__(self, candidate: Candidate, path: Path, sample: Sample):
        self.candidate, self.path, self.sample = candidate, path, sample
        self.directory, self.name = candidate.directory, candidate.directory.resolve().name

    @property
    def suffix(self) -> str:
        """Ends the names of files about a checkpoint."""
        return self.candidate.suffix

    @cached_property
    def encoder(self) -> Encoder:
        return self.candidate.load().to(self.sample.device).eval()

    @cached_property
    def features(self) -> dict[int, Tensor]:
        return mean_tokens(self.encoder, self.sample.batches())

    @cached_property
    def method(self) -> Method:
        """The method with its trained decoders.

        Raises:
            NotApplicable: There is none, or its decoders were not kept.
        """
        method = self._of_run() if self.candidate.config is not None else self._imported()
        return method.to(self.sample.device).eval()

    def _of_run(self) -> Method:
        assert self.candidate.config is not None
        if self.candidate.config["method"]["_target_"] is None:
            raise NotApplicable("the encoder was not trained and has no decoders.")
        path = self.path if self.path.is_file() else self.directory / CHECKPOINT
        if not path.is_file():
            raise NotApplicable(f"it needs the decoders, and there is no {path}.")
        method = method_of(self.candidate.config)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
        try:
            method.load_state_dict(state)
        except RuntimeError as error:
            raise Mistake(f"{path} belongs to another configuration than the config.yaml beside it.") from error
        if self.candidate.step is None:
            load_encoder(self.directory, method.encoder)  # the average, where a moving one was kept
        return method

    def _imported(self) -> Method:
        notes = notes_of(self.directory)
        if notes is None or not (self.directory / METHOD).is_file():
            raise NotApplicable(f"it needs decoders, and {self.directory} holds {ENCODER} alone.")
        method = build(Architecture.from_dict(notes["architecture"]), notes["released_quirks"])
        assert isinstance(method, Method)
        load_method(self.directory, method)
        return method
