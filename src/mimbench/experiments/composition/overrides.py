"""Overrides as users write them, in the form that Hydra composes."""

import re
from collections.abc import Sequence

from mimbench.core.errors import UserError, nearest
from mimbench.experiments.config import choose_options, compose_run, option_names

_PRESETS = ("experiment", "ablation")


def prepare(overrides: Sequence[str]) -> list[str]:
    """The overrides with complete lists of protocols, and with the budget that was chosen instead of a recipe's.

    Raises:
        UserError: A protocol does not exist, or several ablations are chosen: Hydra would ignore the grids of all.
    """
    for override in overrides:
        if override.startswith("+ablation=") and "," in override:
            raise UserError(f"{override}: an ablation is a grid of its own; call the command once for each.")
    complete = [complete_protocols(o) if o.startswith("protocol=") else o for o in overrides]
    return [*complete, *_without_other_budgets(complete)]


def complete_protocols(override: str) -> str:
    """`protocol=a,b` as a list for Hydra; result names such as linear-v1 stand for their protocol files."""
    value = override.removeprefix("protocol=")
    if value == "null":
        return override
    known = option_names("protocol")
    chosen: list[str] = []
    for name in filter(None, re.sub(r"[\[\]\s'\"]", "", value).split(",")):
        candidates = (name, name.replace("-", "_"), name.removesuffix("-v1").replace("-", "_"))
        stem = next((candidate for candidate in candidates if candidate in known), None)
        if stem is None:
            raise UserError(f"There is no protocol '{name}'.{nearest(name, known)} Valid: {', '.join(known)}.")
        chosen.append(stem)
    return f"protocol=[{','.join(dict.fromkeys(chosen))}]"


def _without_other_budgets(overrides: Sequence[str]) -> list[str]:
    """Overrides that remove an experiment's budget if another kind is chosen: budget=steps instead of its epochs."""
    values = dict(override.lstrip("+").split("=", 1) for override in overrides if "=" in override)
    if "budget" not in values or not any(preset in values for preset in _PRESETS):
        return []
    chosen = values["budget"].split(",")
    removed = {override.removeprefix("~").partition("=")[0]: "" for override in overrides if override.startswith("~")}
    composed = compose_run(choose_options(overrides))["budget"]
    others = [
        key
        for key, value in composed.items()
        if value is not None and key not in chosen and f"budget.{key}" not in values | removed
    ]
    # Every file of the group has epochs and steps; a further key would be another configuration than none.
    return [f"budget.{key}=null" if key in ("epochs", "steps") else f"~budget.{key}" for key in others]
