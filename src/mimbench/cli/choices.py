"""What the words of `mimbench evaluate` mean: protocols, data and everything else that `conf/evaluate.yaml` knows."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from mimbench.cli.config import chosen_options, config_directory, group_names
from mimbench.cli.mistakes import CAUSED_BY_USERS, Mistake, nearest
from mimbench.dotted import flatten

if TYPE_CHECKING:
    from mimbench.cli.subjects import Candidate

_OVERRIDE = re.compile(r"[+~]{0,2}[\w@/.-]+=.*", re.DOTALL)
_MISSING = object()


def chosen_data(subject: "Candidate", overrides: list[str]) -> dict[str, Any]:
    """The data configuration that words such as data=cifar10 choose for one subject, by default its own.

    Chosen data come at the encoder's image size.

    Raises:
        Mistake: It has none of its own, or a word means nothing.
    """
    config, words = compose(overrides)
    return _data(subject, config, overrides, words)


def _data(
    subject: "Candidate", config: Mapping[str, Any], overrides: list[str], words: dict[str, Any]
) -> dict[str, Any]:
    """The data configuration for one subject: the chosen data at the encoder's size, else its own."""
    if config.get("data") is not None:
        chosen = dict(config["data"])
        if "image_size" in words or "image_size" not in chosen:
            return chosen
        taps = subject.load().taps
        size = taps[0].grid[0] * taps[0].cell
        return compose([*overrides, f"data.image_size={size}"])[0]["data"]
    if subject.config is None:
        raise Mistake(
            f"{subject.name} holds imported weights, which have no data of their own; choose some with data=."
        )
    own = OmegaConf.create(dict(subject.config["data"]))
    for key, value in words.items():
        if OmegaConf.select(own, key, default=_MISSING) is _MISSING:
            hint = nearest(f"data.{key}", [f"data.{name}" for name in flatten(subject.config["data"])])
            raise Mistake(f"There is no key 'data.{key}' in the data of {subject.name}.{hint}")
        OmegaConf.update(own, key, value)
    resolved = OmegaConf.to_container(own)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def compose(overrides: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration, and what was said about `data.`; that waits for the subject where no data was chosen."""
    words = [_protocols(word) if word.startswith("protocol=") else word for word in overrides]
    about_data = [word for word in words if re.match(r"data\.", word)]
    if not any(re.match(r"data(@\w+)?=", word) for word in words):
        words = [word for word in words if word not in about_data]
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        config = OmegaConf.to_container(hydra.compose("evaluate", words), resolve=True)
    assert isinstance(config, dict)
    split = (word.removeprefix("data.").partition("=") for word in about_data)
    return {str(key): value for key, value in config.items()}, {key: yaml.safe_load(text) for key, _, text in split}


def _protocols(word: str) -> str:
    """`protocol=a,b` as Hydra wants it; the names of cards, such as linear-v1, mean their files."""
    known = [path.stem for path in (config_directory() / "protocol").glob("*.yaml")]
    chosen: list[str] = []
    for name in filter(None, word.removeprefix("protocol=").strip("[]").replace(" ", "").split(",")):
        meant = (name, name.replace("-", "_"), re.sub(r"-v\d+$", "", name).replace("-", "_"))
        found = next((candidate for candidate in meant if candidate in known), None)
        if found is None:
            raise Mistake(f"There is no protocol '{name}'.{nearest(name, known)} Valid: {', '.join(sorted(known))}.")
        chosen.append(found)
    return f"protocol=[{','.join(chosen)}]"


def evaluate_keys(overrides: list[str]) -> list[str]:
    """All keys of `conf/evaluate.yaml` with the options that are chosen, and the names of the groups."""
    try:
        config, _ = compose(chosen_options(overrides))
    except CAUSED_BY_USERS:  # a choice may be the mistake
        config, _ = compose([])
    return [*group_names(), *flatten(config)]


def is_override(word: str) -> bool:
    """Whether a word is KEY=VALUE and no path."""
    return bool(_OVERRIDE.fullmatch(word)) and not word.startswith("--") and not Path(word).exists()
