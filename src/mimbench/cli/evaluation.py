"""Evaluates one subject under the protocols of a configuration."""

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only

from mimbench.cli.build import data_of, evaluation_options, protocols_of
from mimbench.cli.ledger import Ledger
from mimbench.cli.mirrors import check_mirrors, mirror_evaluation
from mimbench.cli.mistakes import Mistake
from mimbench.cli.subjects import Candidate
from mimbench.dotted import flatten
from mimbench.encoders import Encoder
from mimbench.evaluation import ImageProtocol, drop, reinitialise, results
from mimbench.evaluation.cache import DEFAULT_GIB
from mimbench.evaluation.running import labelled

# What of a data configuration cannot change what an evaluation sees.
_IRRELEVANT = {"num_workers", "batch_size", "eval_batch_size", "seed", "crop_scale", "flip", "patch_size", "name"}
_PLACES = {"source.root", "source.download", "source.max_damaged", "source.min_size"}


@dataclass(frozen=True)
class Task:
    """What to do with every subject.

    Attributes:
        config: The composed configuration of `mimbench evaluate`.
        again: Whether to compute what exists already.
    """

    config: Mapping[str, Any]
    again: bool = False

    def __call__(self, subject: Candidate, data: Mapping[str, Any]) -> int:
        """Evaluates and says so; returns the number of new results.

        Raises:
            Mistake: Data, encoder and protocols do not fit together.
        """
        ledger = Ledger(subject.directory, subject.step, subject.epoch)
        try:
            with contextlib.nullcontext() if rank_zero_only.rank else ledger.alone():
                return self._evaluate(subject, data, ledger)
        except ValueError as error:
            raise Mistake(f"{subject.name}: {error}") from error

    def _evaluate(self, subject: Candidate, data: Mapping[str, Any], ledger: Ledger) -> int:
        protocols = protocols_of(self.config)
        suffix = self._cut_suffix() + data_suffix(data, subject.config and subject.config["data"])
        pending = [p for p in protocols if self.again or not ledger.has(p.label + suffix)]
        if rank_zero_only.rank:  # a further process of distributed training: features are the first one's business
            pending = [p for p in pending if isinstance(p, ImageProtocol)]
        else:
            for protocol in protocols:
                if protocol not in pending:
                    print(f"{subject.name}: {protocol.label}{suffix} exists; --again computes it anew.")
        if not pending:
            return 0
        check_mirrors(self.config)
        datamodule = data_of(data)
        labelled(pending, datamodule)
        encoder = self._cut(subject.load())
        begin = time.perf_counter()
        for name, result in results(
            pending,
            encoder,
            datamodule,
            device=device_of(self.config),
            directory=subject.directory / "evaluation" / _step_folder(subject),
            trainer=evaluation_options(self.config),
            suffix=suffix,
            **cache_of(self.config),
        ):
            if not rank_zero_only.rank:
                ledger.add(name, result)
                print(f"{subject.name}: {name}  {_headline(result)}  ({time.perf_counter() - begin:.0f} s)", flush=True)
                mirror_evaluation(self.config, subject.directory, name + subject.suffix, result)
            begin = time.perf_counter()
        return len(pending)

    def _cut(self, encoder: Encoder) -> Encoder:
        if self.config["truncate"]:
            encoder = drop(encoder, self.config["truncate"])
        if self.config["reinitialise"]:
            encoder = reinitialise(encoder, self.config["reinitialise"], self.config["seed"])
        return encoder

    def _cut_suffix(self) -> str:
        for word in ("truncate", "reinitialise"):
            if type(self.config[word]) is not int or self.config[word] < 0:
                raise ValueError(f"{word} counts last blocks or stages, got {self.config[word]!r}.")
        dropped, drawn, seed = (self.config[word] for word in ("truncate", "reinitialise", "seed"))
        draw = f"@reinit{drawn}" + (f"-s{seed}" if seed else "") if drawn else ""
        return (f"@drop{dropped}" if dropped else "") + draw


def device_of(config: Mapping[str, Any]) -> torch.device:
    """Where to compute."""
    return torch.device("cuda" if torch.cuda.is_available() and config["trainer"]["accelerator"] != "cpu" else "cpu")


def cache_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Where features are kept, as `results` is told."""
    directory = config["paths"].get("cache")
    return {
        "cache": None if directory is None else Path(directory),
        "cache_gib": config["paths"].get("cache_gib", DEFAULT_GIB),
    }


def data_suffix(data: Mapping[str, Any], own: Mapping[str, Any] | None) -> str:
    """How names of results tell the data; nothing for the run's own."""
    if own is not None and _seen(data) == _seen(own):
        return ""
    if own is None or data["name"] != own["name"]:
        return f"@{data['name']}"
    text = json.dumps(_seen(data), sort_keys=True)
    return f"@{data['name']}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _seen(data: Mapping[str, Any]) -> dict[str, Any]:
    ignored = _IRRELEVANT | _PLACES
    return {key: value for key, value in flatten(data).items() if key not in ignored}


def _step_folder(subject: Candidate) -> str:
    return "." if subject.step is None else f"step{subject.step}"


def _headline(result: Mapping[str, Any]) -> str:
    for name, value in result.items():
        if isinstance(value, float) and 0 <= value <= 1:
            return f"{name} {100 * value:.2f} %"
    return ""
