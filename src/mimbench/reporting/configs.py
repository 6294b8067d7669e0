"""The resolved configurations of runs: differences between runs, options of the command, number of devices."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mimbench.core.dotted import flatten
from mimbench.runs.directory import config


def read(run_dir: Path) -> dict[str, Any]:
    """The configuration by dotted keys; empty if it cannot be read."""
    try:
        return flatten(config(run_dir))
    except ValueError:
        return {}


def differences(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each configuration without the keys in which all agree."""
    if not configs:
        return []
    first = configs[0]
    keys = sorted({key for config in configs for key in config})
    differing = [key for key in keys if any(key not in c or key not in first or c[key] != first[key] for c in configs)]
    return [{key: config[key] for key in differing if key in config} for config in configs]


def options(overrides: Iterable[str]) -> list[tuple[str, str]]:
    """Key and value of each override; `+ablation=mae_target` is ("ablation", "mae_target")."""
    pairs = (override.partition("=") for override in overrides)
    return [(key.lstrip("+"), value) for key, _, value in pairs]


def num_devices(config: Mapping[str, Any]) -> float:
    """Devices of a training run; NaN if the configuration does not say how many."""
    devices, nodes = config.get("trainer.devices"), config.get("trainer.num_nodes", 1)
    per_node = len(devices) if isinstance(devices, list) else devices
    if not isinstance(per_node, int) or not isinstance(nodes, int) or per_node < 1:
        return math.nan
    return float(per_node * nodes)
