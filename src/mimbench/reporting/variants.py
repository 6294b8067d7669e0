"""Runs that share method, encoder, depth and data may still differ: they must not be averaged."""

import dataclasses
from collections import defaultdict
from collections.abc import Hashable, Iterable

from mimbench.reporting.records import AXES
from mimbench.reporting.runs import Run


def named(runs: list[Run]) -> list[Run]:
    """Names each run's variant: the further axes in which the runs of its setting differ."""
    result: list[Run] = []
    for group in _grouped((run.condition.setting if run.condition else None, run) for run in runs):
        choices = [_choices(run) for run in group]
        common = set.intersection(*choices)
        result += [
            dataclasses.replace(run, variant=" ".join(sorted(own - common)))
            for run, own in zip(group, choices, strict=True)
        ]
    return result


def newest(runs: list[Run], warnings: list[str]) -> list[Run]:
    """Keeps one record per condition and seed, the one that was started last; the others are named in a warning."""
    kept = [run for run in runs if run.record is None]
    recorded = [run for run in runs if run.record is not None]
    for group in _grouped(((run.condition, run.axes["seed"]), run) for run in recorded):
        *older, last = sorted(group, key=_age)
        kept.append(last)
        if older:
            dropped = ", ".join(f"{run.directory} ({run.identity})" for run in older)
            warnings.append(
                f"{last.directory} ({last.identity}) and {dropped} share every axis and the seed. "
                "Only the first, the newest, counts; move the others elsewhere."
            )
    return kept


def _grouped(pairs: Iterable[tuple[Hashable, Run]]) -> Iterable[list[Run]]:
    groups: dict[Hashable, list[Run]] = defaultdict(list)
    for key, run in pairs:
        groups[key].append(run)
    return groups.values()


def _choices(run: Run) -> set[str]:
    axes = {f"{axis}={value}" for axis, value in run.axes.items() if axis not in AXES}
    # An experiment or an ablation sets several options at once and is no axis of its own.
    words = [override.lstrip("+") for override in run.overrides]
    return axes | {word for word in words if word.startswith(("experiment=", "ablation="))}


def _age(run: Run) -> tuple[bool, str]:
    # A finished run outlives an unfinished one, whichever came first.
    return run.status == "finished", run.record.started if run.record else ""
