"""The configuration directory, resolved configurations, and the identity and name that follow from one."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

import mimbench
from mimbench.core.dotted import flatten
from mimbench.core.errors import UserError
from mimbench.experiments.composition.errors import CAUSED_BY_USERS
from mimbench.experiments.composition.hints import Keys, similar
from mimbench.experiments.composition.resolvers import register
from mimbench.experiments.plugins import plugins
from mimbench.runs.identity import identity, is_evaluation, is_relevant
from mimbench.runs.manifest import PlannedRun
from mimbench.runs.records import AXES

register()

# Overrides that are among the axes of every run.
_AXIS_KEYS = ("method", "encoder", "encoder.depth", "data", "seed")


def config_directory() -> Path:
    """`conf/`: in the package if installed, at the top of the repository in a checkout."""
    package = Path(mimbench.__file__).parent
    shipped = package / "conf"
    return shipped if shipped.is_dir() else package.parents[1] / "conf"


def config_directories() -> list[Path]:
    """`conf/` of mimbench and of all plugins."""
    return [config_directory(), *(plugin.conf for plugin in plugins())]


def option_names(group: str) -> list[str]:
    """The options of a config group, such as those of data."""
    return sorted(path.stem for directory in config_directories() for path in (directory / group).glob("*.yaml"))


def config_keys(overrides: Sequence[str]) -> Keys:
    """What `mimbench run` accepts, with the options chosen by overrides."""
    return accepted_keys(compose_run, overrides)


def accepted_keys(compose: Callable[[list[str]], Mapping[str, Any]], overrides: Sequence[str]) -> Keys:
    """The keys of a configuration with the options chosen by overrides.

    Args:
        compose: Returns the configuration for overrides.
    """
    try:
        config = compose(choose_options(overrides))
    except CAUSED_BY_USERS:  # the error may be an option
        config = compose([])
    return Keys(list(flatten(config)), {group: option_names(group) for group in group_names()}, config)


def compose_run(overrides: Sequence[str]) -> dict[str, Any]:
    """`run.yaml` with overrides, as dicts and lists; interpolations are not resolved."""
    return compose_file("run", overrides, resolve=False)


def compose_file(name: str, overrides: Sequence[str], resolve: bool) -> dict[str, Any]:
    """A file at the top of the configuration directory with overrides, as dicts and lists.

    Args:
        resolve: Whether interpolations are resolved.
    """
    GlobalHydra.instance().clear()  # left behind by a composition that failed
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        container = OmegaConf.to_container(hydra.compose(name, list(overrides)), resolve=resolve)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def group_names() -> list[str]:
    """The config groups, such as data."""
    found = [str(p.relative_to(d)) for d in config_directories() for p in d.rglob("*") if p.is_dir()]
    return [group for group in dict.fromkeys(found) if not group.endswith("__pycache__")]


def choose_options(overrides: Sequence[str]) -> list[str]:
    """The overrides that choose an option of a group; from a list of options, the first."""
    groups = group_names()
    parts = [override.partition("=") for override in overrides]
    return [f"{key}={value.split(',')[0]}" for key, _, value in parts if key.lstrip("+") in groups and "[" not in value]


def resolve(config: DictConfig) -> dict[str, Any]:
    """The configuration as dicts and lists, with interpolations resolved and without the `hydra` key.

    Raises:
        UserError: It has an unknown top-level key.
    """
    own = yaml.safe_load((config_directory() / "run.yaml").read_text(encoding="utf-8"))
    known = {*own, "claim", *(group for group in group_names() if "/" not in group)} - {"defaults"}
    if unknown := sorted(str(key) for key in config if key not in known):
        names = [*known, *flatten({str(key): value for key, value in config.items() if key in known})]
        raise UserError(f"Nothing reads the key '{unknown[0]}'.{similar(unknown[0], names)}")
    values = ((str(key), config[key]) for key in config if key != "hydra")
    return {key: OmegaConf.to_container(v, resolve=True) if OmegaConf.is_config(v) else v for key, v in values}


def describe(config: dict[str, Any], overrides: list[str], depth: int, refused: str | None = None) -> PlannedRun:
    """Identity, directory name and axes of a resolved configuration.

    The axes are method, encoder, depth, data, seed, and all other overrides that can change the encoder.

    Args:
        depth: Depth of the encoder.
        refused: Why the configuration cannot work; None if it can.
    """
    seed = config["seed"]
    method, encoder, data = (config[group]["name"] for group in ("method", "encoder", "data"))
    axes: dict[str, Any] = dict(zip(AXES, (method, encoder, depth, data, seed), strict=True))
    digits = identity(config)
    name = f"{method}-{encoder}-d{depth}-{data}-s{seed}-{digits}"
    return PlannedRun(digits, name, axes | _further_axes(config, overrides), overrides, refused)


def _further_axes(config: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    flat = flatten(config)
    further: dict[str, Any] = {}
    for override in overrides:
        if re.fullmatch(r"budget\.\w+=null|~budget\.\w+", override):  # says only that another kind was chosen
            continue
        key, _, value = override.lstrip("+~").partition("=")
        key = key.split("@")[0].replace("/", ".")
        if (
            key not in _AXIS_KEYS
            and key not in ("experiment", "ablation")
            and is_relevant(key)
            and not is_evaluation(key)
        ):
            further[key] = flat.get(key, value)
    return further


def run_directory(config: dict[str, Any], run: PlannedRun) -> Path:
    """The directory of a run: RUNS/SWEEP/RUN."""
    return sweep_directory(config) / run.name


def sweep_directory(config: dict[str, Any]) -> Path:
    """The directory of a sweep: RUNS/SWEEP."""
    return Path(config["paths"]["runs"]) / config["sweep"]
