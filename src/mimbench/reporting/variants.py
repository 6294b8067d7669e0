"""Variants: names for runs that share method, encoder, depth and data but must not be averaged."""

import dataclasses
from collections import defaultdict
from collections.abc import Hashable, Iterable

from mimbench.reporting import configs
from mimbench.reporting.runs import Run
from mimbench.runs.identity import is_evaluation
from mimbench.runs.records import AXES
from mimbench.runs.state import State

# Each sets several options at once, so that none of them is an axis.
_CONFIG_GROUPS = ("experiment", "ablation")
_LARGE = 1e6


def name_variants(runs: list[Run]) -> list[Run]:
    """The runs with their variants: the further axes in which the runs of a setting differ.

    Protocols are no variants, since they do not change an encoder. Runs of 0.1.0 have them among their axes; they count
    only where several runs of one seed differ in nothing else.
    """
    result: list[Run] = []
    for group in _group((run.condition.setting if run.condition else None, run) for run in runs):
        choices = [_choices(run) for run in group]
        if _collide(group, choices):
            choices = [_choices(run, protocols=True) for run in group]
        common = set.intersection(*choices)
        result += [
            dataclasses.replace(run, variant=" ".join(sorted(own - common)))
            for run, own in zip(group, choices, strict=True)
        ]
    return result


def keep_newest(runs: list[Run], warnings: list[str]) -> list[Run]:
    """One record per condition and seed, the one that started last; a warning names the others."""
    kept = [run for run in runs if run.record is None]
    recorded = [run for run in runs if run.record is not None]
    for group in _group(((run.condition, run.axes["seed"]), run) for run in recorded):
        *older, last = sorted(group, key=_age)
        kept.append(last)
        if older:
            dropped = ", ".join(f"{run.directory} ({run.identity})" for run in older)
            warnings.append(
                f"{last.directory} ({last.identity}) and {dropped} share every axis and the seed. "
                "Only the first, which is the newest, is used; move the others elsewhere."
            )
    return kept


def _group(pairs: Iterable[tuple[Hashable, Run]]) -> Iterable[list[Run]]:
    groups: dict[Hashable, list[Run]] = defaultdict(list)
    for key, run in pairs:
        groups[key].append(run)
    return groups.values()


def _collide(runs: list[Run], choices: list[set[str]]) -> bool:
    keys = [
        (run.axes.get("method"), run.axes.get("seed"), frozenset(own))
        for run, own in zip(runs, choices, strict=True)
        if run.record is not None
    ]
    return len(keys) > len(set(keys))


def _choices(run: Run, protocols: bool = False) -> set[str]:
    axes = [
        (axis, value) for axis, value in run.axes.items() if axis not in AXES and (protocols or not is_evaluation(axis))
    ]
    selected = [(key, value) for key, value in configs.options(run.overrides) if key in _CONFIG_GROUPS]
    return {f"{key}={_text(value)}" for key, value in (*axes, *selected)}


def _text(value: object) -> str:
    """A value as a person writes it: 1e12, not 1000000000000.0."""
    if isinstance(value, float) and abs(value) >= _LARGE and float(short := f"{value:g}") == value:
        return short.replace("e+", "e")
    return str(value)


def _age(run: Run) -> tuple[bool, str]:
    """Sort key: a finished run is newer than any unfinished one."""
    return run.status == State.FINISHED, run.record.started if run.record else ""
