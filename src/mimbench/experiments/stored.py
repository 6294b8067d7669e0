"""Checks configurations from files of runs, which are not trusted.

They may build only parts of mimbench and of plugins that the user has installed or named in the command.
"""

import inspect
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from mimbench.core.errors import UserError
from mimbench.experiments.plugins import provides

# A stored configuration may build public subclasses of these classes, by package, and the parts listed below. Their
# constructors take values; none builds another target by name or runs code from a file.
_BASES = {
    "data": ("ImageDataModule", "Source"),
    "evaluation": ("DetectionRecipe", "FineTuneRecipe", "LinearSources", "Protocol", "SegmentRecipe"),
    "maskers": ("Masker",),
    "methods": ("Method",),
    "optim": ("Recipe",),
    "targets": ("Target", "Teacher"),
}
# In mimbench, encoders are made by functions; a plugin may have a class instead.
_PLUGIN_BASES = {**_BASES, "encoders": ("Encoder",)}
_FURTHER_PARTS = (
    "mimbench.encoders.beit",
    "mimbench.encoders.swin",
    "mimbench.encoders.timm_swin",
    "mimbench.encoders.timm_vit",
    "mimbench.encoders.vit",
    "mimbench.evaluation.protocols.corruptions.Corruptions",
    "mimbench.evaluation.protocols.shifted.Shifted",
    "mimbench.experiments.samples.training_images",
    "mimbench.experiments.teachers.mae_of_run",
)
# Built for training only, from the configuration of the command and never from a stored one.
_NEVER_BUILT = ("callbacks", "logger")


def check_config(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Returns the configuration of a run without callbacks and loggers after checking that it may be built.

    Args:
        config: As returned by `runs.directory.config`.
        path: The file that it was read from, for the message.

    Raises:
        UserError: A `_target_` is not a public part of mimbench or a plugin, or a value is an interpolation.
    """
    kept = {key: value for key, value in config.items() if key not in _NEVER_BUILT}
    for key, value in _leaves(kept, ""):
        if key.rpartition(".")[2] == "_target_" and value is not None and not is_allowed(value):
            raise UserError(
                f"{path}: {key} is {value!r}, which is no part of mimbench or of an enabled plugin. Files of runs may "
                "build nothing else; if it is yours, name its folder with --config-dir."
            )
        if isinstance(value, str) and "${" in value:
            raise UserError(
                f"{path}: {key} is {value!r}; expected a value, since stored configurations have no interpolations."
            )
    return {**kept, **{key: {} for key in _NEVER_BUILT if key in config}}


def find_targets(tree: Any) -> list[str]:
    """All values of `_target_` in nested mappings and lists."""
    found = [value for key, value in _leaves(tree, "") if key.rpartition(".")[2] == "_target_"]
    return [str(value) for value in found if value is not None]


def is_allowed(target: Any) -> bool:
    """Whether files of runs may build this target: a public part of mimbench or a plugin that a run can consist of."""
    if not isinstance(target, str):
        return False
    if target in _FURTHER_PARTS:
        return True
    if not target.startswith("mimbench."):
        return provides(target, tuple(base for package in _PLUGIN_BASES for base in _bases(package)))
    if target.count(".") != 2:
        return False
    _, package, name = target.split(".")
    if package not in _BASES or name.startswith("_"):
        return False
    part = getattr(import_module(f"mimbench.{package}"), name, None)
    return inspect.isclass(part) and issubclass(part, _bases(package))


def _bases(package: str) -> tuple[type, ...]:
    module = import_module(f"mimbench.{package}")
    return tuple(getattr(module, base) for base in _PLUGIN_BASES[package])


def _leaves(tree: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """All values except mappings and lists, each with its dotted key; the value of `_target_` is always included."""
    items = tree.items() if isinstance(tree, Mapping) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        if isinstance(value, (Mapping, list)) and str(key) != "_target_":
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
