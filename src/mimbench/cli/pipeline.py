"""One run: pre-train, export, evaluate, record."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from filelock import FileLock, Timeout
from hydra.utils import instantiate
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from mimbench.cli.bookkeeping import Bookkeeping
from mimbench.cli.build import Parts, build, trainer_options
from mimbench.cli.mirrors import mirror_results, mirrors
from mimbench.cli.mistakes import Mistake
from mimbench.cli.signature import Signature
from mimbench.evaluation import run_protocols
from mimbench.methods import Method
from mimbench.reporting.files import write_whole
from mimbench.sweeps import PlannedRun
from mimbench.training import Pretraining, measure_cost, pretrain
from mimbench.weights.store import ENCODER, write_state_dict


def execute(config: dict[str, Any], run: PlannedRun, directory: Path) -> None:
    """Does what is left to do of a run; nothing if it has finished.

    Raises:
        Mistake: The configuration cannot work; nothing was written.
    """
    if Bookkeeping.finished(directory):
        print(f"{run.name} has finished before; nothing to do.")
        return
    resume = None if config["resume"] is None else Path(config["resume"])
    if resume is not None:
        Signature(config).check(resume)
    parts = build(config)
    if rank_zero_only.rank:  # another process of the same training, which has the lock and writes the record
        if parts.method is not None:
            _pretrain(config, parts, parts.method, directory, resume)
        return
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(directory / ".lock", timeout=0), Bookkeeping(run, directory, config["sweep"]) as book:
            _execute(config, run, directory, parts, resume, book)
    except Timeout:
        raise Mistake(f"Another process is working on {directory}; wait for it or stop it.") from None


def _execute(
    config: dict[str, Any], run: PlannedRun, directory: Path, parts: Parts, resume: Path | None, book: Bookkeeping
) -> None:
    write_whole(directory / "config.yaml", yaml.safe_dump(config, sort_keys=False))
    with mirrors(config, run, directory) as loggers:
        if parts.method is not None:
            book.costs(measure_cost(parts.method, parts.data.image_size), parts.method.depths)
            book.pretrained(_pretrain(config, parts, parts.method, directory, resume, loggers))
        write_state_dict(parts.encoder.trunk.state_dict(), directory / ENCODER)
        begin = time.perf_counter()
        results = _evaluate(config, parts)
        book.evaluated(results, time.perf_counter() - begin)
        mirror_results(loggers, results)


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
        method.encoder.compile()  # in place: no new names in checkpoints
    return pretrain(
        method,
        parts.data,
        directory,
        **config["budget"],
        trainer_options=trainer_options(config),
        callbacks=[Signature(config), *callbacks],
        loggers=loggers,
        checkpoint_every_n_epochs=config["callbacks"]["checkpoint_every_n_epochs"],
        ema=config["optim"]["ema"],
        resume=resume,
    )


def _evaluate(config: Mapping[str, Any], parts: Parts) -> dict[str, dict[str, Any]]:
    device = torch.device("cuda" if torch.cuda.is_available() and config["trainer"]["accelerator"] != "cpu" else "cpu")
    protocols = [instantiate(entry) for entry in (config.get("protocol") or {}).values()]
    return run_protocols(protocols, parts.encoder.to(device), parts.data, device)
