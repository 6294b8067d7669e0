"""The comparison: one summary per condition, and what to conclude from them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from mimbench.reporting import statistics
from mimbench.reporting.collect import Sweep, frame, groups
from mimbench.reporting.runs import UNTRAINED, Condition, Run, Setting
from mimbench.reporting.statistics import BETTER, Difference, Estimate, Sample

_NAMES = {"knn": "kNN"}
_FIRST = ("knn", "linear")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One row of the comparison.

    estimates, differences: By protocol; differences are to the untrained encoder of the same setting.
    """

    condition: Condition
    runs: tuple[Run, ...]
    samples: dict[str, Sample]
    estimates: dict[str, Estimate]
    differences: dict[str, Difference]
    training_flops: float
    images_per_second: float
    train_seconds: float

    @property
    def counts(self) -> Counter[str]:
        return Counter(run.status for run in self.runs)

    @property
    def planned(self) -> int:
        return len(self.runs) - self.counts["refused"]

    @property
    def unfinished(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.status != "finished")


@dataclass(frozen=True)
class Finding:
    """Who leads a setting under a protocol, over the untrained encoder and over the next; None where unknown."""

    setting: Setting
    protocol: str
    leader: Summary
    runner_up: Summary | None
    lead: Difference | None
    num_better: int
    num_methods: int


def summarise(sweep: Sweep) -> list[Summary]:
    """Every condition of the sweep in the order of the table; only finished runs are counted in."""
    samples: dict[Condition, dict[str, Sample]] = {}
    for (*condition, protocol), rows in groups(frame(sweep.finished), [*Condition._fields, "protocol"]):
        samples.setdefault(Condition(*condition), {})[protocol] = statistics.sample(rows)
    runs: dict[Condition, list[Run]] = {}
    for run in sweep.runs:
        if run.condition is not None:
            runs.setdefault(run.condition, []).append(run)
    return [
        _summary(condition, runs[condition], samples.get(condition, {}), _baseline(condition, samples))
        for condition in sorted(runs, key=lambda condition: condition.order)
    ]


def protocols(summaries: Iterable[Summary]) -> dict[str, str]:
    """The protocols measured, as `titles` has them."""
    return titles(protocol for summary in summaries for protocol in summary.samples)


def titles(names: Iterable[str]) -> dict[str, str]:
    """Protocols with the title to show, kNN and linear first; the version only where two meet."""
    names = sorted(set(names), key=_rank)
    versions = Counter(_family(name) for name in names)
    return {name: _title(name, versioned=versions[_family(name)] > 1) for name in names}


def findings(summaries: list[Summary]) -> list[Finding]:
    """The leader of each setting and protocol by mean accuracy."""
    result = []
    for setting, group in groupby(summaries, key=lambda summary: summary.condition.setting):
        trained = [summary for summary in group if summary.condition.method != UNTRAINED]
        for protocol in protocols(trained):
            ranked = sorted(
                (summary for summary in trained if protocol in summary.estimates),
                key=lambda summary: -summary.estimates[protocol].mean,
            )
            if ranked:
                result.append(_finding(setting, protocol, ranked))
    return result


def _finding(setting: Setting, protocol: str, ranked: list[Summary]) -> Finding:
    leader, runner_up = ranked[0], ranked[1] if len(ranked) > 1 else None
    lead = statistics.difference(leader.samples[protocol], runner_up.samples[protocol]) if runner_up else None
    compared = [summary.differences[protocol] for summary in ranked if protocol in summary.differences]
    num_better = sum(gain.verdict == BETTER for gain in compared)
    return Finding(setting, protocol, leader, runner_up, lead, num_better, len(compared))


def _summary(condition: Condition, runs: list[Run], samples: dict[str, Sample], baseline: dict[str, Sample]) -> Summary:
    estimates = {protocol: statistics.estimate(values) for protocol, values in samples.items()}
    differences = {
        protocol: statistics.difference(values, baseline[protocol])
        for protocol, values in samples.items()
        if protocol in baseline and condition.method != UNTRAINED
    }
    costs = [run.record.cost for run in runs if run.record is not None and run.status == "finished"]
    return Summary(
        condition=condition,
        runs=tuple(runs),
        samples=samples,
        estimates={protocol: value for protocol, value in estimates.items() if value is not None},
        differences={protocol: value for protocol, value in differences.items() if value is not None},
        training_flops=statistics.mean(cost.get("training_flops") for cost in costs),
        images_per_second=statistics.mean(cost.get("images_per_second") for cost in costs),
        train_seconds=statistics.mean(cost.get("train_seconds") for cost in costs),
    )


def _baseline(condition: Condition, samples: dict[Condition, dict[str, Sample]]) -> dict[str, Sample]:
    """Of the untrained encoder in the same setting: the same variant, or the only one there is."""
    untrained = {
        other.variant: values
        for other, values in samples.items()
        if other.method == UNTRAINED and other.setting == condition.setting
    }
    if condition.variant in untrained:
        return untrained[condition.variant]
    return next(iter(untrained.values())) if len(untrained) == 1 else {}


def _rank(protocol: str) -> tuple[int, str]:
    family = _family(protocol)
    return _FIRST.index(family) if family in _FIRST else len(_FIRST), protocol


def _family(protocol: str) -> str:
    return protocol.rsplit("-v", 1)[0]


def _title(protocol: str, versioned: bool) -> str:
    family = _family(protocol)
    version = protocol.removeprefix(family).replace("-", " ")
    return _NAMES.get(family, family) + (version if versioned else "")
