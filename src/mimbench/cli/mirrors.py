"""Trackers beside the run directory: Weights & Biases, TensorBoard."""

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning.pytorch.callbacks import Callback

from mimbench.cli.mistakes import Mistake
from mimbench.dotted import flatten
from mimbench.reporting import records
from mimbench.reporting.dashboard_facts import Facts, Job
from mimbench.reporting.dashboard_media import Pictures
from mimbench.sweeps import PlannedRun
from mimbench.training.saving import LAST
from mimbench.weights.store import ENCODER


@contextmanager
def mirrors(config: Mapping[str, Any], run: PlannedRun, directory: Path) -> Iterator[list[Any]]:
    """The trackers of a run's configuration, told who it is; they are finished however it ends."""
    job: Job = "pretrain" if config["method"]["_target_"] else "evaluate"
    facts = Facts(run.identity, run.name, config["sweep"], job, directory, run.axes, flatten(config))
    with _opened(config, facts) as made:
        yield made


def check_mirrors(config: Mapping[str, Any]) -> None:
    """Refuses trackers that cannot work, before anything is written.

    Raises:
        Mistake: A word nobody knows, no key where online is demanded, or a package that is not installed.
    """
    chosen = config.get("logger") or {}
    for name, entry in chosen.items():
        if not isinstance(entry, Mapping):
            raise Mistake(f"logger.{name} is not one of wandb, tensorboard, csv, none.")
    if (wandb := chosen.get("wandb")) is not None:
        for key in ("offline", "log_model"):
            if wandb.get(key) not in (True, False, *([None] if key == "offline" else [])):
                raise Mistake(f"logger.wandb.{key} is true or false, got {wandb[key]!r}.")
        if wandb.get("offline") is False:
            from mimbench.reporting.dashboard_key import has_key

            if not has_key():
                raise Mistake("logger.wandb.offline=false needs a key: set WANDB_API_KEY or run `wandb login`.")
    if "tensorboard" in chosen and not (find_spec("tensorboardX") or find_spec("tensorboard")):
        raise Mistake("logger=tensorboard needs a package: pip install 'mimbench[tensorboard]'.")
    for entry in filter(_is_tracker, chosen.values()):
        try:
            instantiate(entry, _partial_=True)
        except InstantiationException as error:
            raise Mistake(f"{error.__cause__ or error}".partition("\n")[0]) from error


def mirror_callbacks(loggers: Sequence[Any], directory: Path) -> list[Callback]:
    """What follows training for the trackers."""
    return [Pictures(loggers, directory)] if loggers else []


def mirror_results(loggers: Sequence[Any], results: Mapping[str, Any], cost: Mapping[str, Any] | None = None) -> None:
    """Tells the numbers of all protocols as `protocol/metric`, lists by depth as curves, costs as `cost/...`."""
    numbers = _numbers(results)
    for logger in loggers:
        logger.log_metrics(numbers)
        for name, result in results.items():
            if curves := _curves(result):
                logger.log_curves(name, result["depths"], curves)
        logger.log_summary(numbers | _numbers({"cost": cost or {}}))


def mirror_weights(loggers: Sequence[Any], directory: Path, start: str | None) -> None:
    """Offers the encoder, its configuration and the last checkpoint, and says whose weights they began with."""
    for logger in loggers:
        logger.log_weights(_files(directory), None if start is None else _parent(Path(start)))


def mirror_evaluation(config: Mapping[str, Any], directory: Path, name: str, result: Mapping[str, Any]) -> None:
    """Tells one result of `mimbench evaluate` or `mimbench analyze`, as a tracked run of its own."""
    if not any(map(_is_tracker, (config.get("logger") or {}).values())):
        return
    try:
        record = records.read(directory / records.FILE)
        identity, title, sweep, axes = record.identity, record.name, record.sweep, record.axes
    except ValueError:  # imported weights
        identity, title, sweep, axes = _digest(str(directory.resolve()), 12), directory.name, "imported", {}
    job: Job = "finetune" if "finetune" in name else "analysis" if name.startswith("analysis") else "evaluate"
    folder = directory / "evaluation" / "trackers" / _digest(name, 8)
    folder.mkdir(parents=True, exist_ok=True)
    whole = flatten({**_config(directory), "evaluate": config})
    told = Facts(f"{identity}-{_digest(name, 8)}", f"{title} {name}", sweep, job, folder, axes, whole)
    with _opened(config, told) as loggers:
        mirror_results(loggers, {re.sub(r"@step\d+$", "", name): result})


@contextmanager
def _opened(config: Mapping[str, Any], facts: Facts) -> Iterator[list[Any]]:
    made: list[Any] = []
    with ExitStack() as stack:
        for entry in filter(_is_tracker, (config.get("logger") or {}).values()):
            made.append(instantiate(entry, facts))
            stack.push(partial(_finish, made[-1]))
        yield made


def _finish(logger: Any, kind: type[BaseException] | None, *_: Any) -> None:
    logger.finish(failed=kind is not None)


def _is_tracker(entry: Mapping[str, Any]) -> bool:
    return entry.get("_target_") is not None  # logger=csv is what every run writes anyway


def _numbers(tree: Mapping[str, Any]) -> dict[str, float]:
    flat = {key.replace(".", "/"): value for key, value in flatten(tree).items()}
    return {key: float(value) for key, value in flat.items() if isinstance(value, int | float)}


def _curves(result: Any) -> dict[str, list[float]]:
    """Lists of numbers as long as `depths`."""
    depths = result.get("depths") if isinstance(result, Mapping) else None
    if not isinstance(depths, list) or not depths:
        return {}
    lists = {key: value for key, value in result.items() if key != "depths" and isinstance(value, list)}
    fitting = {key: [math.nan if v is None else v for v in values] for key, values in lists.items()}
    return {k: v for k, v in fitting.items() if len(v) == len(depths) and all(isinstance(n, int | float) for n in v)}


def _files(directory: Path) -> list[Path]:
    names = (ENCODER, "config.yaml", f"checkpoints/{LAST}")
    return [directory / name for name in names if (directory / name).is_file()]


def _parent(directory: Path) -> tuple[str, list[Path]] | None:
    try:
        return records.read(directory / records.FILE).identity, _files(directory)
    except ValueError:  # imported weights
        return None


def _config(directory: Path) -> dict[str, Any]:
    path = directory / "config.yaml"
    return yaml.safe_load(path.read_text()) if path.is_file() else {}


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]
