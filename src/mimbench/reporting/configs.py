"""The resolved configurations of runs: what differs between two, and on how many devices a run was."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mimbench.dotted import flatten

FILE = "config.yaml"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(run_dir: Path) -> dict[str, Any]:
    """The configuration by dotted keys; empty where there is none that can be read."""
    try:
        config = yaml.load((run_dir / FILE).read_text(encoding="utf-8"), _LOADER)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return flatten(config) if isinstance(config, Mapping) else {}


def differences(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each configuration without the keys in which all agree."""
    if not configs:
        return []
    first = configs[0]
    keys = sorted({key for config in configs for key in config})
    differing = [key for key in keys if any(key not in c or key not in first or c[key] != first[key] for c in configs)]
    return [{key: config[key] for key in differing if key in config} for config in configs]


def num_devices(config: Mapping[str, Any]) -> float:
    """Devices of a training; NaN where the configuration leaves it to the machine."""
    devices, nodes = config.get("trainer.devices"), config.get("trainer.num_nodes", 1)
    per_node = len(devices) if isinstance(devices, list) else devices
    if not isinstance(per_node, int) or not isinstance(nodes, int) or per_node < 1:
        return math.nan
    return float(per_node * nodes)
