"""The encoder and the images of an analysis, with cached features and method."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mimbench.analysis.tokens import mean_tokens
from mimbench.core.errors import UserError
from mimbench.data.reload import some
from mimbench.data.source import SplitName
from mimbench.encoders import Encoder
from mimbench.experiments.build import build_data, build_method
from mimbench.experiments.evaluation.encoder_sources import EncoderSource, find_source
from mimbench.methods import Method
from mimbench.runs.directory import CHECKPOINTS, CONFIG, ENCODER, LAST, checkpoint
from mimbench.weights.architecture import Architecture
from mimbench.weights.building import build
from mimbench.weights.store import METHOD, load_encoder, load_method, notes_of


class NotApplicable(Exception):
    """An analysis does not apply to this encoder; the message says why."""


@dataclass(frozen=True)
class Sample:
    """A fixed choice of images of a split.

    Attributes:
        data: Configuration of the datamodule.
        num_images: Maximal number of images.
    """

    data: dict[str, Any]
    datamodule: Any
    split: SplitName
    num_images: int
    device: torch.device

    def batches(self, at_most: int | None = None) -> Iterator[Tensor]:
        """Batches of images on the device; a fixed random choice if the split has more images."""
        count = min(self.num_images, at_most or self.num_images)
        for batch in some(self.datamodule.plain(self.split), count):
            yield batch.images.to(self.device)

    def images(self, num: int) -> Tensor:
        """`num` images, or all if there are fewer, as one batch."""
        return torch.cat(list(self.batches(num)))

    def __len__(self) -> int:
        return min(self.num_images, len(self.datamodule.split(self.split)))


class AnalysisContext:
    """The source of an encoder and the images that it is analyzed on.

    Args:
        path: The path given by the user: a run, a checkpoint or imported weights.
    """

    def __init__(self, source: EncoderSource, path: Path, sample: Sample):
        self.source, self.path, self.sample = source, path, sample
        self.directory, self.name = source.directory, source.directory.resolve().name

    @property
    def suffix(self) -> str:
        """Suffix of file names for a checkpoint, such as `@step500`."""
        return self.source.suffix

    @cached_property
    def encoder(self) -> Encoder:
        return self.source.load().to(self.sample.device).eval()

    @cached_property
    def features(self) -> dict[int, Tensor]:
        return mean_tokens(self.encoder, self.sample.batches())

    @cached_property
    def method(self) -> Method:
        """The method with its trained decoders.

        Raises:
            NotApplicable: There is no method, or its decoders were not stored.
        """
        method = self._of_run() if self.source.config is not None else self._imported()
        return method.to(self.sample.device).eval()

    def _of_run(self) -> Method:
        assert self.source.config is not None
        if self.source.config["method"]["_target_"] is None:
            raise NotApplicable("the encoder was not trained and has no decoders.")
        path = self.path if self.path.is_file() else checkpoint(self.directory)
        if path is None:
            raise NotApplicable(
                f"it needs the decoders, and {self.directory / CHECKPOINTS / LAST} is missing or damaged."
            )
        method = build_method(self.source.config)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
        try:
            method.load_state_dict(state)
        except RuntimeError as error:
            raise UserError(f"{path} belongs to another configuration than the {CONFIG} beside it.") from error
        if self.source.step is None:
            load_encoder(self.directory, method.encoder)  # the moving average, if there is one
        return method

    def _imported(self) -> Method:
        notes = notes_of(self.directory)
        if notes is None or not (self.directory / METHOD).is_file():
            raise NotApplicable(f"it needs decoders, and {self.directory} contains only {ENCODER}.")
        method = build(Architecture.from_dict(notes["architecture"]), notes["released_quirks"])
        assert isinstance(method, Method)
        load_method(self.directory, method)
        return method


def open_run(run: Path, split: SplitName = "val", num_images: int = 1000, device: str = "cpu") -> AnalysisContext:
    """The encoder and the method of a finished run, with images of its own data.

    Raises:
        UserError: The path is not a finished run.
    """
    source = find_source(run)
    if source.config is None:
        raise UserError(f"{run} has no images of its own; expected the directory of a run.")
    data = source.config["data"]
    return AnalysisContext(source, run, Sample(data, build_data(data), split, num_images, torch.device(device)))
