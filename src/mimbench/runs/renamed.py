"""Renamed keys and targets of configurations.

The identity of a run is a hash of its configuration, so the files of finished runs keep their names: they are
translated to current names when read (`current`) and back before hashing (`former`).
"""

from collections.abc import Callable, Mapping
from typing import Any

# Current names by the names in configurations of older runs.
TARGETS = {
    "mimbench.cli.samples.training_images": "mimbench.experiments.samples.training_images",
    "mimbench.cli.teachers.mae_of_run": "mimbench.experiments.teachers.mae_of_run",
    "mimbench.evaluation.corruptions.Corruptions": "mimbench.evaluation.protocols.corruptions.Corruptions",
    "mimbench.evaluation.shifted.Shifted": "mimbench.evaluation.protocols.shifted.Shifted",
    "mimbench.reporting.dashboard_logger.wandb_logger": "mimbench.trackers.wandb_logger.wandb_logger",
    "mimbench.reporting.dashboard_tensorboard.tensorboard_logger": (
        "mimbench.trackers.tensorboard_logger.tensorboard_logger"
    ),
}
KEYS = {"data.colour_jitter": "data.color_jitter"}
_FORMER_TARGETS = {new: old for old, new in TARGETS.items()}
_FORMER_KEYS = {new: old for old, new in KEYS.items()}


def current(config: Mapping[str, Any]) -> dict[str, Any]:
    """A nested or flat configuration with current names."""
    return _rename(config, KEYS, TARGETS)


def former(config: Mapping[str, Any]) -> dict[str, Any]:
    """A nested or flat configuration with the names of the first release."""
    return _rename(config, _FORMER_KEYS, _FORMER_TARGETS)


def _rename(config: Mapping[str, Any], keys: Mapping[str, str], targets: Mapping[str, str]) -> dict[str, Any]:
    def target(value: Any) -> Any:
        return targets.get(value, value) if isinstance(value, str) else value

    def key(name: str) -> str:
        return keys.get(name, name)

    return _walk(config, "", key, target)


def _walk(value: Any, prefix: str, key: Callable[[str], str], target: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        walked: dict[str, Any] = {}
        for name, inner in value.items():
            path = f"{prefix}{name}"
            renamed = key(path)[len(prefix) :]
            is_target = renamed.rpartition(".")[2] == "_target_"
            walked[renamed] = target(inner) if is_target else _walk(inner, f"{path}.", key, target)
        return walked
    if isinstance(value, (list, tuple)):
        return [_walk(inner, f"{prefix}{place}.", key, target) for place, inner in enumerate(value)]
    return value
