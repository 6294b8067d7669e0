"""Where configurations lie, and what they look like when resolved."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

import mimbench
from mimbench.cli.mistakes import CAUSED_BY_USERS, Mistake, nearest
from mimbench.dotted import flatten
from mimbench.sweeps import PlannedRun, identity
from mimbench.sweeps.identity import is_relevant

_AXES = ("method", "encoder", "depth", "data", "seed")
_NAMED = ("method", "encoder", "encoder.depth", "data", "seed")


def config_directory() -> Path:
    """`conf/` beside the package when installed, at the repository's top in a checkout."""
    package = Path(mimbench.__file__).parent
    shipped = package / "conf"
    return shipped if shipped.is_dir() else package.parents[1] / "conf"


def config_keys(words: Sequence[str]) -> list[str]:
    """All keys of the configuration with the options that the words choose, and the names of the groups."""
    groups = group_names()
    GlobalHydra.instance().clear()  # left behind by a composition that failed
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        try:
            config = hydra.compose("run", chosen_options(words))
        except CAUSED_BY_USERS:  # a choice may be the mistake
            config = hydra.compose("run")
    container = OmegaConf.to_container(config, resolve=False)
    assert isinstance(container, dict)
    return [*groups, *flatten({str(key): value for key, value in container.items()})]


def group_names() -> list[str]:
    """The groups of options, such as data."""
    directory = config_directory()
    return [str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_dir()]


def chosen_options(words: Sequence[str]) -> list[str]:
    """Those of the words that choose an option of a group; of several options the first."""
    groups = group_names()
    parts = [word.partition("=") for word in words]
    return [f"{key}={value.split(',')[0]}" for key, _, value in parts if key.lstrip("+") in groups and "[" not in value]


def check_words(words: Sequence[str]) -> None:
    """Raises Mistake for several ablations at once, of whose grids Hydra would heed none."""
    for word in words:
        if word.startswith("+ablation=") and "," in word:
            raise Mistake(f"{word}: an ablation is a grid of its own; call the command once for each.")


def plain(config: DictConfig) -> dict[str, Any]:
    """The configuration as dicts and lists, interpolations resolved, without Hydra's own part.

    Raises:
        Mistake: A top-level key that nothing reads.
    """
    known = {
        "seed",
        "sweep",
        "resume",
        "objective",
        "claim",
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
        if key not in _NAMED and key not in ("experiment", "ablation") and is_relevant(key):
            further[key] = flat.get(key, value)
    return further


def run_directory(config: dict[str, Any], run: PlannedRun) -> Path:
    """Where a run writes."""
    return sweep_directory(config) / run.name


def sweep_directory(config: dict[str, Any]) -> Path:
    """Where a sweep's runs lie."""
    return Path(config["paths"]["runs"]) / config["sweep"]
