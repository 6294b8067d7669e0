"""One run: pre-train, export, evaluate, record."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from hydra.utils import instantiate
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from mimbench.cli.bookkeeping import Bookkeeping
from mimbench.cli.build import (
    Parts,
    build,
    build_model,
    check_protocols,
    cost_of,
    evaluation_options,
    protocols_of,
    sharded,
    trainer_options,
)
from mimbench.cli.evaluation import cache_of, device_of
from mimbench.cli.limits import limits
from mimbench.cli.lock import locked
from mimbench.cli.mirrors import check_mirrors, mirror_callbacks, mirror_results, mirror_weights, mirrors
from mimbench.cli.signature import Signature
from mimbench.encoders import Encoder
from mimbench.evaluation import ImageProtocol, run_protocols
from mimbench.methods import Method
from mimbench.reporting.files import write_whole
from mimbench.reporting.records import FILE, headline, read
from mimbench.reporting.titles import titles
from mimbench.sweeps import PlannedRun
from mimbench.training import Cost, InterruptedRun, Pretraining, pretrain
from mimbench.training.compilation import compile_blocks
from mimbench.training.saving import LAST
from mimbench.weights.store import ENCODER, write_state_dict


def execute(config: dict[str, Any], run: PlannedRun, directory: Path) -> None:
    """Does what is left to do of a run; nothing if it has finished.

    Raises:
        Mistake: The configuration cannot work, or another process works on the run; nothing was written.
    """
    if Bookkeeping.finished(directory):
        print(f"{run.name} has finished before; nothing to do.")
        return
    resume = None if config["resume"] is None else Path(config["resume"])
    if resume is not None:
        Signature(config).check(resume)
    check_mirrors(config)
    parts = build(config)
    check_protocols(config, parts.data)
    cost = None if parts.method is None else cost_of(parts.method, parts.data.image_size)
    if rank_zero_only.rank:  # another process of the same training, which has the lock and writes the record
        with suppress(InterruptedRun, KeyboardInterrupt):  # rank 0 tells; Lightning kills it where another rank fails
            if parts.method is not None:
                _pretrain(config, parts, parts.method, directory, resume)
                if sharded(config):
                    parts = replace(parts, encoder=_gathered(config, directory))
            _evaluate(config, parts, directory)
        return
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory):
        if not Bookkeeping.finished(directory):  # meanwhile, by another process
            with Bookkeeping(run, directory, config["sweep"]) as book:
                _execute(config, run, directory, parts, cost, resume, book)
        _tell(run, directory)


def _execute(
    config: dict[str, Any],
    run: PlannedRun,
    directory: Path,
    parts: Parts,
    cost: Cost | None,
    resume: Path | None,
    book: Bookkeeping,
) -> None:
    write_whole(directory / "config.yaml", yaml.safe_dump(config, sort_keys=False))
    with mirrors(config, run, directory) as loggers:
        if parts.method is not None and cost is not None:
            book.costs(cost, parts.method.depths)
            book.pretrained(_pretrain(config, parts, parts.method, directory, resume, loggers))
            if sharded(config):
                parts = replace(parts, encoder=_gathered(config, directory))
        write_state_dict(parts.encoder.trunk.state_dict(), directory / ENCODER)
        mirror_weights(loggers, directory, config["weights"])
        begin = time.perf_counter()
        results = _evaluate(config, parts, directory)
        book.evaluated(results, time.perf_counter() - begin)
        mirror_results(loggers, results, book.record.cost)


def _tell(run: PlannedRun, directory: Path) -> None:
    """What came out and where it lies."""
    shown = {name: headline(result) for name, result in read(directory / FILE).metrics.items()}
    values = {name: found[0] for name, found in shown.items() if found is not None}
    found = ", ".join(f"{title} {100 * values[name]:.1f} %" for name, title in titles(values).items())
    print(f"{run.name} has finished{f': {found}' if found else ''}. It lies in {directory}.", flush=True)


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
        **limits(config, method, parts.data),
        trainer_options=trainer_options(config),
        callbacks=[Signature(config), *callbacks, *mirror_callbacks(loggers, directory)],
        loggers=loggers,
        checkpoint_every_n_epochs=config["callbacks"]["checkpoint_every_n_epochs"],
        ema=config["optim"]["ema"],
        resume=resume,
    )


def _gathered(config: Mapping[str, Any], directory: Path) -> Encoder:
    """The encoder whole again, from the checkpoint that ended a sharded training."""
    encoder, method = build_model(config)
    assert method is not None
    path = directory / "checkpoints" / LAST
    method.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["state_dict"])
    return encoder


def _evaluate(config: Mapping[str, Any], parts: Parts, directory: Path) -> dict[str, dict[str, Any]]:
    protocols = protocols_of(config)
    if rank_zero_only.rank:  # features are the first process's business, training is everybody's
        protocols = [protocol for protocol in protocols if isinstance(protocol, ImageProtocol)]
    if not protocols:
        return {}
    return run_protocols(
        protocols,
        parts.encoder,
        parts.data,
        device=device_of(config),
        directory=directory / "evaluation",
        trainer=evaluation_options(config),
        **cache_of(config),
    )
