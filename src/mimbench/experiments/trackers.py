"""Logging of runs, evaluations and analyses to Weights & Biases and TensorBoard."""

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning.pytorch.callbacks import Callback

from mimbench.core.dotted import flatten
from mimbench.core.errors import UserError
from mimbench.core.extras import how_to_install
from mimbench.runs import records
from mimbench.runs.directory import CHECKPOINTS, CONFIG, ENCODER, EVALUATION, LAST, RECORD
from mimbench.runs.directory import config as read_config
from mimbench.runs.manifest import PlannedRun
from mimbench.trackers.reconstructions import LogReconstructions
from mimbench.trackers.run_info import Job, RunInfo

_LONGEST_SWEEP = 40  # characters; W&B allows 128 for an id


@contextmanager
def open_trackers(config: Mapping[str, Any], run: PlannedRun, directory: Path) -> Iterator[list[Any]]:
    """The trackers in the configuration of a run; they are closed at the end, also after an error."""
    job: Job = "pretrain" if config["method"]["_target_"] else "evaluate"
    identity = tracker_id(run.identity, config["sweep"], directory)
    info = RunInfo(identity, run.name, config["sweep"], job, directory, run.axes, flatten(config))
    with _open(config, info) as loggers:
        yield loggers


def check_trackers(config: Mapping[str, Any]) -> None:
    """Checks the configuration of trackers before anything is written.

    Raises:
        UserError: An unknown name or option, a missing key with `offline=false`, or a package that is not installed.
    """
    chosen = config.get("logger") or {}
    for name, entry in chosen.items():
        if not isinstance(entry, Mapping):
            raise UserError(f"logger.{name} does not exist; choose one of wandb, tensorboard, none.")
    if (wandb := chosen.get("wandb")) is not None:
        for key in ("offline", "log_model"):
            if wandb.get(key) not in (True, False, *([None] if key == "offline" else [])):
                raise UserError(f"logger.wandb.{key} is {wandb[key]!r}; it must be true or false.")
        if wandb.get("offline") is False:
            from mimbench.trackers.wandb_access import has_key

            if not has_key():
                raise UserError("logger.wandb.offline=false needs a key: set WANDB_API_KEY or run `wandb login`.")
    if "tensorboard" in chosen and not (find_spec("tensorboardX") or find_spec("tensorboard")):
        raise UserError(f"logger=tensorboard needs a package: {how_to_install('tensorboard')}.")
    for entry in filter(_is_tracker, chosen.values()):
        try:
            instantiate(entry, _partial_=True)
        except InstantiationException as error:
            raise UserError(f"{error.__cause__ or error}".partition("\n")[0]) from error


def tracker_callbacks(loggers: Sequence[Any], directory: Path) -> list[Callback]:
    """The callbacks that log during training."""
    return [LogReconstructions(loggers, directory)] if loggers else []


def log_results(loggers: Sequence[Any], results: Mapping[str, Any], cost: Mapping[str, Any] | None = None) -> None:
    """Logs the numbers of all protocols as `protocol/metric`, lists by depth as curves, costs as `cost/...`."""
    numbers = _numbers(results)
    for logger in loggers:
        logger.log_metrics(numbers)
        for name, result in results.items():
            if curves := _curves(result):
                logger.log_curves(name, result["depths"], curves)
        logger.log_summary(numbers | _numbers({"cost": cost or {}}))


def log_weights(loggers: Sequence[Any], directory: Path, start: str | None) -> None:
    """Logs the encoder, its configuration and the last checkpoint.

    Args:
        start: Directory of the run or the imported weights that training started from.
    """
    for logger in loggers:
        logger.log_weights(_files(directory), None if start is None else _parent(Path(start)))


def log_evaluation(
    config: Mapping[str, Any], directory: Path, job: Job, name: str, result: Mapping[str, Any], suffix: str = ""
) -> None:
    """Logs one result of `mimbench evaluate` or `mimbench analyze` as a separate run of the trackers.

    Args:
        directory: Of the run or the imported weights.
        suffix: Of the checkpoint, such as `@step500`; part of the name of that run, but not of its metrics.
    """
    if not any(map(_is_tracker, (config.get("logger") or {}).values())):
        return
    try:
        record = records.read(directory / RECORD)
        identity = tracker_id(record.identity, record.sweep, directory)
        title, sweep, axes = record.name, record.sweep, record.axes
    except ValueError:  # imported weights
        identity, title, sweep, axes = _digest(str(directory.resolve()), 12), directory.name, "imported", {}
    digest = _digest(name + suffix, 8)
    folder = directory / EVALUATION / "trackers" / digest
    folder.mkdir(parents=True, exist_ok=True)
    flat = flatten({**_config(directory), "evaluate": config})
    info = RunInfo(f"{identity}-{digest}", f"{title} {name}{suffix}", sweep, job, folder, axes, flat)
    with _open(config, info) as loggers:
        log_results(loggers, {name: result})


@contextmanager
def _open(config: Mapping[str, Any], info: RunInfo) -> Iterator[list[Any]]:
    loggers: list[Any] = []
    with ExitStack() as stack:
        for entry in filter(_is_tracker, (config.get("logger") or {}).values()):
            loggers.append(instantiate(entry, info))
            stack.push(partial(_finish, loggers[-1]))
        yield loggers


def _finish(logger: Any, kind: type[BaseException] | None, *_: Any) -> None:
    logger.finish(failed=kind is not None)


def _is_tracker(entry: Mapping[str, Any]) -> bool:
    return entry.get("_target_") is not None


def _numbers(tree: Mapping[str, Any]) -> dict[str, float]:
    flat = flatten(tree, separator="/")  # a dot can be part of a name such as linear-v1+lrs=0.1
    return {key: float(value) for key, value in flat.items() if isinstance(value, int | float)}


def _curves(result: Any) -> dict[str, list[float]]:
    """The lists of numbers with the length of `depths`."""
    depths = result.get("depths") if isinstance(result, Mapping) else None
    if not isinstance(depths, list) or not depths:
        return {}
    lists = {key: value for key, value in result.items() if key != "depths" and isinstance(value, list)}
    numbers = {key: [math.nan if v is None else v for v in values] for key, values in lists.items()}
    return {k: v for k, v in numbers.items() if len(v) == len(depths) and all(isinstance(n, int | float) for n in v)}


def _files(directory: Path) -> list[Path]:
    names = (ENCODER, CONFIG, f"{CHECKPOINTS}/{LAST}")
    return [directory / name for name in names if (directory / name).is_file()]


def tracker_id(identity: str, sweep: str, directory: Path) -> str:
    """Identifies a run at Weights & Biases: its identity and the sweep, as letters, digits and hyphens.

    A second sweep of the same configuration is another run there. A run of 0.1.0, whose id had no sweep, keeps it.
    """
    if any((directory / "wandb").glob(f"*run-*-{identity}")):
        return identity
    name = re.sub(r"[^A-Za-z0-9]+", "-", sweep).strip("-")[:_LONGEST_SWEEP]
    unique = "" if name == sweep else f"-{_digest(sweep, 6)}"
    return "-".join(filter(None, (identity, name))) + unique


def _parent(directory: Path) -> tuple[str, list[Path]] | None:
    try:
        record = records.read(directory / RECORD)
        return tracker_id(record.identity, record.sweep, directory), _files(directory)
    except ValueError:  # imported weights
        return None


def _config(directory: Path) -> dict[str, Any]:
    return read_config(directory) if (directory / CONFIG).is_file() else {}


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]
