"""Composes the configuration of `mimbench evaluate` (`conf/evaluate.yaml`) from its overrides."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import OmegaConf

from mimbench.core.dotted import flatten
from mimbench.core.errors import UserError
from mimbench.experiments.composition.hints import Keys, similar
from mimbench.experiments.composition.overrides import complete_protocols
from mimbench.experiments.config import accepted_keys, compose_file

if TYPE_CHECKING:
    from mimbench.experiments.evaluation.encoder_sources import EncoderSource

_OVERRIDE = re.compile(r"[+~]{0,2}[\w@/.-]+=.*", re.DOTALL)
_MISSING = object()


def choose_data(source: "EncoderSource", overrides: list[str]) -> dict[str, Any]:
    """The data configuration for one encoder: the data chosen by overrides, otherwise the data of its run.

    Chosen data get the image size of the encoder, unless the overrides set one.

    Raises:
        UserError: No data were chosen and the source has none, or a key does not exist.
    """
    config, values = compose_evaluation(overrides)
    if config.get("data") is not None:
        return _choose_size(source, dict(config["data"]), overrides, values)
    return _change_data(source, values)


def _choose_size(
    source: "EncoderSource", data: dict[str, Any], overrides: list[str], values: Mapping[str, Any]
) -> dict[str, Any]:
    """The chosen data at the image size of the encoder, unless `values` set the size."""
    if "image_size" in values or "image_size" not in data:
        return data
    taps = source.load().taps
    size = taps[0].grid[0] * taps[0].cell
    return compose_evaluation([*overrides, f"data.image_size={size}"])[0]["data"]


def _change_data(source: "EncoderSource", values: Mapping[str, Any]) -> dict[str, Any]:
    """The data configuration of the source's run with some values changed."""
    if source.config is None:
        raise UserError(f"{source.name} contains imported weights, which have no data; choose some with data=NAME.")
    own = OmegaConf.create(dict(source.config["data"]))
    for key, value in values.items():
        if OmegaConf.select(own, key, default=_MISSING) is _MISSING:
            hint = similar(f"data.{key}", [f"data.{name}" for name in flatten(source.config["data"])])
            raise UserError(f"There is no key 'data.{key}' in the data of {source.name}.{hint}")
        OmegaConf.update(own, key, value)
    resolved = OmegaConf.to_container(own)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def compose_evaluation(overrides: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration, and the values set by `data.KEY=` overrides.

    Without a `data=NAME` override, the configuration has no data; the values then apply to the data of a run.
    """
    arguments = [complete_protocols(word) if word.startswith("protocol=") else word for word in overrides]
    about_data = [word for word in arguments if re.match(r"data\.", word)]
    if not any(re.match(r"data(@\w+)?=", word) for word in arguments):
        arguments = [word for word in arguments if word not in about_data]
    config = compose_file("evaluate", arguments, resolve=True)
    split = (word.removeprefix("data.").partition("=") for word in about_data)
    return config, {key: yaml.safe_load(text) for key, _, text in split}


def evaluation_keys(overrides: list[str]) -> Keys:
    """What `conf/evaluate.yaml` accepts, with the chosen options."""
    return accepted_keys(lambda chosen: compose_evaluation(chosen)[0], overrides)


def is_override(word: str) -> bool:
    """Whether an argument is KEY=VALUE, not an option or an existing path."""
    return bool(_OVERRIDE.fullmatch(word)) and not word.startswith("--") and not Path(word).exists()
