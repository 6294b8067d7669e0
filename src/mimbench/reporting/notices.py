"""What a reader of the report must know before the table: mixed versions, and settings without a baseline."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from mimbench.reporting.runs import UNTRAINED, Condition, Run, Setting
from mimbench.runs.state import State

MIXED = "‡"
_NAMED = 3  # more are counted


def notices(runs: Sequence[Run]) -> list[str]:
    """One sentence or two for each kind of problem that the runs have."""
    return [*_mixed_versions(runs), *_without_baseline(runs)]


def versions(runs: Iterable[Run]) -> list[str]:
    """Versions of mimbench that wrote the finished runs; several mean that the row is marked."""
    found = {
        str(version)
        for run in runs
        if run.status == State.FINISHED and run.record and (version := run.record.environment.get("mimbench"))
    }
    return sorted(found)


def _mixed_versions(runs: Iterable[Run]) -> Iterator[str]:
    rows: dict[Condition, list[Run]] = defaultdict(list)
    for run in runs:
        if run.condition is not None:
            rows[run.condition].append(run)
    mixed = {condition: found for condition, own in rows.items() if len(found := versions(own)) > 1}
    if mixed:
        names = [f"{condition.setting} · {condition.label} ({', '.join(found)})" for condition, found in mixed.items()]
        yield (
            f"Seeds of one row were run by different versions of mimbench ({MIXED}): {_list(names)}. The changelog "
            "says whether numbers changed between them."
        )


def _without_baseline(runs: Iterable[Run]) -> Iterator[str]:
    methods: dict[Setting, set[str]] = defaultdict(set)
    for run in runs:
        if run.condition is not None and run.status == State.FINISHED:
            methods[run.condition.setting].add(run.condition.method)
    if missing := [str(setting) for setting, own in methods.items() if UNTRAINED not in own]:
        yield (
            f"There is no untrained encoder for {_list(missing)}: whether pre-training helped is unknown. Add "
            "method=untrained to the sweep."
        )


def _list(names: Sequence[str]) -> str:
    further = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return "; ".join(names[:_NAMED]) + further
