"""One run: pre-train, export, evaluate, record."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from hydra.utils import instantiate
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from mimbench.core.files import write_atomic
from mimbench.data.workers import explained_workers
from mimbench.encoders import Encoder
from mimbench.evaluation import ImageProtocol, Protocol, run_protocols
from mimbench.experiments.budget import pretrain_limits
from mimbench.experiments.build import (
    Parts,
    build,
    build_model,
    build_protocols,
    check_protocols,
    evaluation_options,
    is_sharded,
    measure_step_cost,
    trainer_options,
)
from mimbench.experiments.config_check import ConfigCheck
from mimbench.experiments.evaluation.encoder_sources import find_source
from mimbench.experiments.evaluation.evaluate import Evaluator, cache_options, choose_device
from mimbench.experiments.evaluation.existing import missing_protocols
from mimbench.experiments.recorder import RunRecorder
from mimbench.experiments.scores import format_scores
from mimbench.experiments.trackers import check_trackers, log_results, log_weights, open_trackers, tracker_callbacks
from mimbench.methods import Method
from mimbench.reporting.protocol_names import titles
from mimbench.runs.directory import CHECKPOINTS, CONFIG, ENCODER, EVALUATION, LAST
from mimbench.runs.lock import locked
from mimbench.runs.manifest import PlannedRun
from mimbench.runs.progress import write_stage
from mimbench.training import Cost, InterruptedRun, Pretraining, pretrain
from mimbench.training.compilation import compile_blocks
from mimbench.weights.store import write_state_dict


def execute(config: dict[str, Any], run: PlannedRun, directory: Path) -> None:
    """Starts or continues a run; if it has finished, evaluates the protocols that are missing.

    Raises:
        UserError: The configuration cannot work, or another process works on the run; nothing was written.
    """
    if RunRecorder.is_finished(directory):
        if missing := missing_protocols(config, directory):
            _evaluate_finished(config, missing, directory)
        else:
            print(f"{run.name} has finished before; nothing to do.")
        return
    resume = None if config["resume"] is None else Path(config["resume"])
    if resume is not None:
        ConfigCheck(config).check(resume)
    check_trackers(config)
    parts = build(config)
    check_protocols(config, parts.data)
    cost = None if parts.method is None else measure_step_cost(parts.method, parts.data.image_size)
    if rank_zero_only.rank:  # rank 0 of the training holds the lock and writes the record
        with suppress(
            InterruptedRun, KeyboardInterrupt
        ):  # rank 0 reports them; Lightning ends it if another rank fails
            if parts.method is not None:
                _pretrain(config, parts, parts.method, directory, resume)
                encoder = _gather(config, directory) if is_sharded(config) else parts.method.exported
                parts = replace(parts, encoder=encoder)
            _evaluate(config, parts, directory)
        return
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory):
        if not RunRecorder.is_finished(directory):  # another process may have finished it meanwhile
            with RunRecorder(run, directory, config["sweep"]) as recorder, explained_workers():
                _execute(config, run, directory, parts, cost, resume, recorder)
        _print_results(run, directory)


def _execute(
    config: dict[str, Any],
    run: PlannedRun,
    directory: Path,
    parts: Parts,
    cost: Cost | None,
    resume: Path | None,
    recorder: RunRecorder,
) -> None:
    write_atomic(directory / CONFIG, yaml.safe_dump(config, sort_keys=False))
    with open_trackers(config, run, directory) as loggers:
        if parts.method is not None and cost is not None:
            recorder.record_cost(cost, parts.method.depths)
            recorder.record_training(_pretrain(config, parts, parts.method, directory, resume, loggers))
            encoder = _gather(config, directory) if is_sharded(config) else parts.method.exported
            parts = replace(parts, encoder=encoder)
        write_state_dict(parts.encoder.trunk.state_dict(), directory / ENCODER)
        log_weights(loggers, directory, config["weights"])
        begin = time.perf_counter()
        results = _evaluate(config, parts, directory)
        recorder.record_results(results, time.perf_counter() - begin)
        log_results(loggers, results, recorder.record.cost)


def _evaluate_finished(config: Mapping[str, Any], protocols: Iterable[str], directory: Path) -> None:
    """Adds results of further protocols to a finished run, as `mimbench evaluate` does."""
    print(f"{directory.name} has finished before; it is evaluated with {', '.join(protocols)}.", flush=True)
    unchanged = {"truncate": 0, "reinitialize": 0}
    further = {**config, **unchanged, "protocol": {key: config["protocol"][key] for key in protocols}}
    Evaluator(further).evaluate(find_source(directory), config["data"])


def _print_results(run: PlannedRun, directory: Path) -> None:
    results = format_scores(directory)
    print(f"{run.name} has finished{f': {results}' if results else ''}. Its directory: {directory}", flush=True)


def _pretrain(
    config: Mapping[str, Any],
    parts: Parts,
    method: Method,
    directory: Path,
    resume: Path | None,
    loggers: Sequence[Logger] = (),
) -> Pretraining:
    callbacks = [instantiate(entry) for entry in config["callbacks"].values() if isinstance(entry, Mapping)]
    if config["trainer"]["compile"]:
        compile_blocks(method)
    return pretrain(
        method,
        parts.data,
        directory,
        **pretrain_limits(config, method, parts.data),
        trainer_options=trainer_options(config),
        callbacks=[ConfigCheck(config), *callbacks, *tracker_callbacks(loggers, directory)],
        loggers=loggers,
        checkpoint_every_n_epochs=config["callbacks"]["checkpoint_every_n_epochs"],
        ema=config["optim"]["ema"],
        resume=resume,
    )


def _gather(config: Mapping[str, Any], directory: Path) -> Encoder:
    """The unsharded encoder, from the last checkpoint of a sharded training."""
    _, method = build_model(config)
    assert method is not None
    path = directory / CHECKPOINTS / LAST
    method.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["state_dict"])
    return method.exported


def _evaluate(config: Mapping[str, Any], parts: Parts, directory: Path) -> dict[str, dict[str, Any]]:
    protocols = build_protocols(config)
    if rank_zero_only.rank:  # rank 0 alone computes features; all ranks take part in training
        protocols = [protocol for protocol in protocols if isinstance(protocol, ImageProtocol)]
    if not protocols:
        return {}
    return run_protocols(
        protocols,
        parts.encoder,
        parts.data,
        device=choose_device(config),
        directory=directory / EVALUATION,
        trainer=evaluation_options(config),
        announce=None if rank_zero_only.rank else _announcer(protocols, directory),
        **cache_options(config),
    )


def _announcer(protocols: Sequence[Protocol], directory: Path) -> Callable[[str], None]:
    """A function that prints which protocol starts, and writes it to the run's progress file."""
    names = titles(protocol.label for protocol in protocols)

    def announce(label: str) -> None:
        stage = f"evaluating {names[label]}"
        print(stage, flush=True)
        write_stage(directory, stage)

    return announce
