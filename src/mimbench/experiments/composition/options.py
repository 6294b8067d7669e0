"""The config groups and their options, with a line about each."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mimbench.experiments.config import config_directories, config_directory, group_names

GROUPS: Mapping[str, str] = {
    "method": "what is learned from masked images; untrained is the baseline",
    "encoder": "the network that is pre-trained and evaluated",
    "data": "images to pre-train and evaluate on",
    "masker": "which patches are hidden",
    "target": "what is predicted for hidden patches",
    "optim": "optimizer and learning rate",
    "budget": "length of training: epochs, steps, seconds or operations",
    "protocol": "evaluations after training; several as a list: protocol=knn,linear",
    "trainer": "devices, precision, compilation",
    "callbacks": "observations during training",
    "logger": "trackers; several as a list: logger=[wandb,tensorboard]",
    "finetune": "recipe of the protocols finetune and partial_finetune",
    "segment": "recipe of the protocol segment_upernet",
    "detect": "recipe of the protocol detect_vitdet",
    "paths": "directories of runs, data and caches",
    "experiment": "published recipes and demos: values for several groups at once",
    "ablation": "grids of published ablations, with -m: +ablation=NAME",
    "augmentation": "crops, flips and colors of training images: +augmentation=NAME",
    "hydra/launcher": "where the runs of a sweep are executed, with -m",
}


def describe_group(group: str) -> str:
    """One line about a config group."""
    return GROUPS.get(group, "options of a plugin")


def public_groups() -> list[str]:
    """The config groups that users choose from, in the order of `GROUPS`; then those of plugins."""
    inner = ("hydra", "experiment/shared")
    others = [group for group in group_names() if group not in GROUPS and group not in inner and _files(group)]
    return [*GROUPS, *sorted(others)]


def options(group: str) -> dict[str, str]:
    """One line about every option of a config group, also those of plugins, in alphabetical order."""
    return {path.stem: describe_option(path) for path in sorted(_files(group), key=lambda path: path.stem)}


def addition(group: str) -> str:
    """The sign before a group that is not among the defaults of run.yaml: + or nothing."""
    chosen = re.findall(r"^  - (?:override )?([\w/]+):", (config_directory() / "run.yaml").read_text("utf-8"), re.M)
    return "" if group in chosen else "+"


def describe_option(path: Path) -> str:
    """The first sentence of the comment at the top of a configuration file; empty without one."""
    text = " ".join(_comment(path))
    sentence = re.match(r".*?\.(?= |$)", text)
    return (sentence.group() if sentence else text).rstrip(":")


def _files(group: str) -> list[Path]:
    return [path for directory in config_directories() for path in (directory / group).glob("*.yaml")]


def _comment(path: Path) -> Iterator[str]:
    """The lines of the leading comment, without Hydra's directive and up to the first command."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("# ") or line.startswith("#  "):
            return
        yield line[2:].strip()
