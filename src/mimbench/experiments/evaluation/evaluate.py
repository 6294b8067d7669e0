"""Evaluates one encoder under the protocols of a configuration."""

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

from mimbench.core.dotted import flatten
from mimbench.core.errors import UserError
from mimbench.encoders import Encoder
from mimbench.evaluation import FineTune, ImageProtocol, drop, reinitialize, results
from mimbench.evaluation.features.cache import DEFAULT_GIB
from mimbench.evaluation.runner import labeled
from mimbench.experiments.build import build_data, build_protocols, evaluation_options
from mimbench.experiments.evaluation.encoder_sources import EncoderSource
from mimbench.experiments.trackers import check_trackers, log_evaluation
from mimbench.runs.directory import EVALUATION
from mimbench.runs.records import headline
from mimbench.runs.results import ResultStore

# Keys of a data configuration that cannot change the images or labels of an evaluation.
_IRRELEVANT = {"num_workers", "batch_size", "eval_batch_size", "seed", "crop_scale", "flip", "patch_size", "name"}
_FILE_OPTIONS = {"source.root", "source.download", "source.max_damaged", "source.min_size"}


@dataclass(frozen=True)
class Evaluator:
    """Evaluates encoders under the protocols of one configuration.

    Attributes:
        config: The composed configuration of `mimbench evaluate`.
        again: Whether to compute existing results again.
    """

    config: Mapping[str, Any]
    again: bool = False

    def evaluate(self, source: EncoderSource, data: Mapping[str, Any]) -> int:
        """Stores and prints the results of one encoder; returns the number of evaluated protocols.

        Raises:
            UserError: Data, encoder and protocols do not fit together.
        """
        store = ResultStore(source.directory, source.step, source.epoch)
        try:
            with contextlib.nullcontext() if rank_zero_only.rank else store.lock():
                return self._evaluate(source, data, store)
        except ValueError as error:
            raise UserError(f"{source.name}: {error}") from error

    def _evaluate(self, source: EncoderSource, data: Mapping[str, Any], store: ResultStore) -> int:
        protocols = build_protocols(self.config)
        suffix = self._modification_suffix() + data_suffix(data, source.config and source.config["data"])
        pending = [p for p in protocols if self.again or not store.has(p.label + suffix)]
        if rank_zero_only.rank:  # a further rank of distributed training: rank 0 alone computes features
            pending = [p for p in pending if isinstance(p, ImageProtocol)]
        else:
            for protocol in protocols:
                if protocol not in pending:
                    print(f"{source.name}: {protocol.label}{suffix} exists; --again computes it again.")
        if not pending:
            return 0
        check_trackers(self.config)
        datamodule = build_data(data)
        protocol_of = {label + suffix: protocol for label, protocol in labeled(pending, datamodule).items()}
        encoder = self._modify(source.load())
        begin = time.perf_counter()
        for name, result in results(
            pending,
            encoder,
            datamodule,
            device=choose_device(self.config),
            directory=source.directory / EVALUATION / _step_folder(source),
            trainer=evaluation_options(self.config),
            suffix=suffix,
            **cache_options(self.config),
        ):
            if not rank_zero_only.rank:
                store.add(name, result)
                print(
                    f"{source.name}: {name}  {_format_headline(result)}  ({time.perf_counter() - begin:.0f} s)",
                    flush=True,
                )
                job = "finetune" if isinstance(protocol_of[name], FineTune) else "evaluate"
                log_evaluation(self.config, source.directory, job, name, result, source.suffix)
            begin = time.perf_counter()
        return len(pending)

    def _modify(self, encoder: Encoder) -> Encoder:
        if self.config["truncate"]:
            encoder = drop(encoder, self.config["truncate"])
        if self.config["reinitialize"]:
            encoder = reinitialize(encoder, self.config["reinitialize"], self.config["seed"])
        return encoder

    def _modification_suffix(self) -> str:
        for key in ("truncate", "reinitialize"):
            if type(self.config[key]) is not int or self.config[key] < 0:
                raise ValueError(
                    f"{key} is {self.config[key]!r}; it must be a number of last blocks or stages, 0 or more."
                )
        dropped, reinitialized, seed = (self.config[key] for key in ("truncate", "reinitialize", "seed"))
        reinit = f"@reinit{reinitialized}" + (f"-s{seed}" if seed else "") if reinitialized else ""
        return (f"@drop{dropped}" if dropped else "") + reinit


def choose_device(config: Mapping[str, Any]) -> torch.device:
    """A GPU if there is one and the configuration allows it, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() and config["trainer"]["accelerator"] != "cpu" else "cpu")


def cache_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `mimbench.evaluation.results` for the feature cache."""
    directory = config["paths"].get("cache")
    return {
        "cache": None if directory is None else Path(directory),
        "cache_gib": config["paths"].get("cache_gib", DEFAULT_GIB),
    }


def data_suffix(data: Mapping[str, Any], own: Mapping[str, Any] | None) -> str:
    """Suffix of result names for the data, such as `@cifar10`; empty for the data of the run itself."""
    if own is not None and _relevant_keys(data) == _relevant_keys(own):
        return ""
    if own is None or data["name"] != own["name"]:
        return f"@{data['name']}"
    text = json.dumps(_relevant_keys(data), sort_keys=True)
    return f"@{data['name']}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _relevant_keys(data: Mapping[str, Any]) -> dict[str, Any]:
    ignored = _IRRELEVANT | _FILE_OPTIONS
    return {key: value for key, value in flatten(data).items() if key not in ignored}


def _step_folder(source: EncoderSource) -> str:
    return "." if source.step is None else f"step{source.step}"


def _format_headline(result: Mapping[str, Any]) -> str:
    shown = headline(result)
    return "" if shown is None else f"{shown.name} {100 * shown.value:.2f} %"
