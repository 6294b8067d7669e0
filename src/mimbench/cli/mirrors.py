"""Loggers beside the run directory, such as Weights & Biases."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from lightning.pytorch.loggers.logger import Logger

from mimbench.sweeps import PlannedRun
from mimbench.sweeps.identity import flatten


@contextmanager
def mirrors(config: Mapping[str, Any], run: PlannedRun, directory: Path) -> Iterator[list[Logger]]:
    """The loggers of a configuration; they carry the run's identity and are finished however the run ends."""
    made = [_logger(entry, config, run, directory) for entry in (config.get("logger") or {}).values()]
    failed = True
    try:
        yield made
        failed = False
    finally:
        for logger in made:
            finish = getattr(getattr(logger, "experiment", None), "finish", None)  # W&B's, and of its like
            if finish is not None:
                finish(exit_code=int(failed))


def mirror_results(loggers: list[Logger], results: Mapping[str, Mapping[str, Any]]) -> None:
    """Logs the numbers of all protocols as `protocol/metric`."""
    flat = {key.replace(".", "/"): value for key, value in flatten(results).items()}
    numbers = {key: float(value) for key, value in flat.items() if isinstance(value, int | float)}
    for logger in loggers:
        logger.log_metrics(numbers)


def _logger(entry: Mapping[str, Any], config: Mapping[str, Any], run: PlannedRun, directory: Path) -> Logger:
    tags = [f"{axis}:{value}" for axis, value in run.axes.items()]
    make = instantiate(entry, _partial_=True)  # called after, since `config` is a name of Hydra's own
    facts = {"name": run.name, "id": run.identity, "group": config["sweep"], "tags": tags}
    return make(**facts, save_dir=directory, config=flatten(config))
