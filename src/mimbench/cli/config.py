"""Where configurations lie, and what they look like when resolved."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

import mimbench
from mimbench.cli.mistakes import Mistake, nearest
from mimbench.sweeps import PlannedRun, identity
from mimbench.sweeps.identity import flatten, is_relevant

_AXES = ("method", "encoder", "depth", "data", "seed")
_NAMED = ("method", "encoder", "encoder.depth", "data", "seed")


def config_directory() -> Path:
    """`conf/` beside the package when installed, at the repository's top in a checkout."""
    package = Path(mimbench.__file__).parent
    shipped = package / "conf"
    return shipped if shipped.is_dir() else package.parents[1] / "conf"


def plain(config: DictConfig) -> dict[str, Any]:
    """The configuration as dicts and lists, interpolations resolved, without Hydra's own part.

    Raises:
        Mistake: A top-level key that nothing reads.
    """
    known = {
        "seed",
        "sweep",
        "resume",
        "weights",
        "hydra",
        *(p.name for p in config_directory().iterdir() if p.is_dir()),
    }
    if unknown := sorted(str(key) for key in config if key not in known):
        raise Mistake(f"Nothing reads the key '{unknown[0]}'.{nearest(unknown[0], known)}")
    visible = OmegaConf.create({key: value for key, value in config.items_ex(resolve=False) if key != "hydra"})
    resolved = OmegaConf.to_container(visible, resolve=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def describe(config: dict[str, Any], overrides: list[str], depth: int, refused: str | None = None) -> PlannedRun:
    """Identity, directory name and axes of a resolved configuration.

    Axes are method, encoder, depth, data and seed, and every other override that can change the result.

    Args:
        depth: The encoder's.
        refused: Why the run cannot exist.
    """
    seed = config["seed"]
    method, encoder, data = (config[group]["name"] for group in ("method", "encoder", "data"))
    axes: dict[str, Any] = dict(zip(_AXES, (method, encoder, depth, data, seed), strict=True))
    digits = identity(config)
    name = f"{method}-{encoder}-d{depth}-{data}-s{seed}-{digits}"
    return PlannedRun(digits, name, axes | _further(config, overrides), overrides, refused)


def _further(config: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    flat = flatten(config)
    further: dict[str, Any] = {}
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        key = key.split("@")[0].replace("/", ".")
        if key not in _NAMED and key != "experiment" and is_relevant(key):
            further[key] = flat.get(key, value)
    return further


def run_directory(config: dict[str, Any], run: PlannedRun) -> Path:
    """Where a run writes."""
    return sweep_directory(config) / run.name


def sweep_directory(config: dict[str, Any]) -> Path:
    """Where a sweep's runs lie."""
    return Path(config["paths"]["runs"]) / config["sweep"]
