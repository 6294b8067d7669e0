"""One summary per condition: the rows of the comparison."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from mimbench.reporting import configs, published, statistics
from mimbench.reporting.collect import Sweep, frame, groups
from mimbench.reporting.protocol_names import titles
from mimbench.reporting.published import Published
from mimbench.reporting.runs import UNTRAINED, Condition, Run, Setting
from mimbench.reporting.statistics import Difference, Estimate, Sample
from mimbench.runs import correctness
from mimbench.runs.state import State


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One row of the comparison.

    estimates: By protocol.
    differences: By protocol, to the untrained encoder of the same setting.
    behind: By protocol, to the leader of the setting; the leader itself has none.
    leads: Protocols under which this condition is the leader.
    ties: Protocols under which it is the leader or level with it, and not alone.
    training_flops, images_per_second, train_seconds, device_hours: Means over the finished runs; NaN if unknown.
    published: Published numbers of the same experiment; never part of any number here.
    """

    condition: Condition
    runs: tuple[Run, ...]
    samples: dict[str, Sample]
    estimates: dict[str, Estimate]
    differences: dict[str, Difference]
    behind: dict[str, Difference] = field(default_factory=dict)
    leads: frozenset[str] = frozenset()
    ties: frozenset[str] = frozenset()
    training_flops: float
    images_per_second: float
    train_seconds: float
    device_hours: float = math.nan
    published: tuple[Published, ...] = ()

    @property
    def counts(self) -> Counter[str]:
        """Number of runs by status."""
        return Counter(run.status for run in self.runs)

    @property
    def planned(self) -> int:
        """Number of runs without the refused ones."""
        return len(self.runs) - self.counts[State.REFUSED]

    @property
    def unfinished(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.status != State.FINISHED)


def summarize(sweep: Sweep) -> list[Summary]:
    """One summary per condition of the sweep in the order of the table; numbers come from finished runs only.

    p-values are corrected for the number of comparisons in the whole table. The leader of a setting is chosen by the
    same numbers that show its lead; therefore all pairs of trained conditions count, including those not shown.
    """
    samples = _samples(sweep)
    runs: dict[Condition, list[Run]] = {}
    for run in sweep.runs:
        if run.condition is not None:
            runs.setdefault(run.condition, []).append(run)
    ordered = sorted(runs, key=lambda condition: condition.order)
    leaders = _leaders(ordered, samples)
    return _find_ties(_correct([_summary(condition, runs[condition], samples, leaders) for condition in ordered]))


def protocols(summaries: Iterable[Summary]) -> dict[str, str]:
    """The title of each measured protocol, in the order of `titles`."""
    return titles(protocol for summary in summaries for protocol in summary.samples)


class Compared(NamedTuple):
    """Protocols under which some condition is compared with the untrained encoder, or with the leader."""

    with_untrained: set[str]
    with_leader: set[str]


def compared_protocols(summaries: Iterable[Summary]) -> Compared:
    """The protocols that need a column for differences."""
    summaries = list(summaries)
    return Compared(
        {protocol for summary in summaries for protocol in summary.differences},
        {protocol for summary in summaries for protocol in summary.behind},
    )


def num_comparisons(summaries: Iterable[Summary]) -> int:
    """The number of p-values that the correction counts."""
    summaries = list(summaries)
    pairs = (pair for summary in summaries for pair in (summary.differences, summary.behind))
    return sum(not math.isnan(gain.p) for pair in pairs for gain in pair.values()) + _num_not_shown(summaries)


def _num_not_shown(summaries: Iterable[Summary]) -> int:
    """The number of pairs of conditions that are both compared with the same leader, but not with each other."""
    followers = Counter(
        (summary.condition.setting, protocol)
        for summary in summaries
        for protocol, gain in summary.behind.items()
        if not math.isnan(gain.p)
    )
    return sum(count * (count - 1) // 2 for count in followers.values())


def _samples(sweep: Sweep) -> dict[Condition, dict[str, Sample]]:
    directories = {(run.condition, run.axes["seed"]): run.directory for run in sweep.finished if run.condition}
    samples: dict[Condition, dict[str, Sample]] = {}
    for (*axes, protocol), rows in groups(frame(sweep.finished), [*Condition._fields, "protocol"]):
        condition = Condition(*axes)
        sample = statistics.sample(rows)
        paths = ((seed, directories.get((condition, seed))) for seed in sample.accuracies)
        stored = {seed: correctness.read(path, protocol) for seed, path in paths if path is not None}
        valid = {seed: correct for seed, correct in stored.items() if _matches(correct, sample.accuracies[seed])}
        samples.setdefault(condition, {})[protocol] = sample._replace(correct=valid)
    return samples


def _matches(correct: np.ndarray | None, accuracy: float) -> bool:
    """Whether the accuracy was computed from these answers; the tolerance is half an image."""
    return correct is not None and abs(float(correct.sum()) - accuracy * len(correct)) < 0.5


def _leaders(
    conditions: Iterable[Condition], samples: dict[Condition, dict[str, Sample]]
) -> dict[tuple[Setting, str], Condition]:
    """By setting and protocol the trained condition with the highest mean over the seeds that all of them share.

    If they share no seed, over all seeds of each. Of conditions with equal means, the first.
    """
    accuracies_of: dict[tuple[Setting, str], dict[Condition, dict[int, float]]] = defaultdict(dict)
    for condition in conditions:
        for protocol, sample in samples.get(condition, {}).items():
            if condition.method != UNTRAINED and sample.accuracies:
                accuracies_of[condition.setting, protocol][condition] = sample.accuracies
    leaders = {}
    for key, accuracies in accuracies_of.items():
        shared = set.intersection(*map(set, accuracies.values()))
        means = {c: statistics.mean(own[seed] for seed in shared or own) for c, own in accuracies.items()}
        leaders[key] = max(means, key=lambda condition: means[condition])
    return leaders


def _summary(
    condition: Condition,
    runs: list[Run],
    samples: dict[Condition, dict[str, Sample]],
    leaders: dict[tuple[Setting, str], Condition],
) -> Summary:
    own = samples.get(condition, {})
    baseline = {} if condition.method == UNTRAINED else _baseline(condition, samples)
    best = {protocol: leaders.get((condition.setting, protocol)) for protocol in own}
    ahead = {p: samples[c][p] for p, c in best.items() if c not in (None, condition) and condition.method != UNTRAINED}
    finished = [run for run in runs if run.record is not None and run.status == State.FINISHED]
    first = next((run for run in runs if run.config), runs[0])
    costs = [run.record.cost for run in finished if run.record is not None]
    estimates = {protocol: statistics.estimate(sample) for protocol, sample in own.items()}
    return Summary(
        condition=condition,
        runs=tuple(runs),
        samples=own,
        estimates={protocol: value for protocol, value in estimates.items() if value is not None},
        differences=_differences(own, baseline),
        behind=_differences(own, ahead),
        leads=frozenset(protocol for protocol, leader in best.items() if leader == condition),
        training_flops=statistics.mean(cost.get("training_flops") for cost in costs),
        images_per_second=statistics.mean(cost.get("images_per_second") for cost in costs),
        train_seconds=statistics.mean(cost.get("train_seconds") for cost in costs),
        device_hours=statistics.mean(map(_device_hours, finished)),
        published=tuple(published.matching(first.axes, first.config, first.overrides)),
    )


def _device_hours(run: Run) -> float | None:
    """As recorded; for older records computed from the time and the configured number of devices."""
    cost = run.record.cost if run.record else {}
    seconds = cost.get("device_seconds")
    if seconds is None and cost.get("train_seconds") is not None:
        seconds = cost["train_seconds"] * configs.num_devices(run.config)
    return None if seconds is None else seconds / 3600


def _differences(own: dict[str, Sample], others: dict[str, Sample]) -> dict[str, Difference]:
    found = {p: statistics.difference(sample, others[p]) for p, sample in own.items() if p in others}
    return {protocol: value for protocol, value in found.items() if value is not None}


def _correct(summaries: list[Summary]) -> list[Summary]:
    """The summaries with Holm's correction over all comparisons of the table that have a p-value."""
    columns = [gains for summary in summaries for gains in (summary.differences, summary.behind)]
    keys = [(i, protocol) for i, gains in enumerate(columns) for protocol, g in gains.items() if not math.isnan(g.p)]
    adjusted = statistics.holm([columns[i][protocol].p for i, protocol in keys], _num_not_shown(summaries))
    for (i, protocol), value in zip(keys, adjusted, strict=True):
        columns[i] = columns[i] | {protocol: columns[i][protocol]._replace(adjusted=value)}
    pairs = zip(columns[::2], columns[1::2], strict=True)
    return [
        replace(summary, differences=differences, behind=behind)
        for summary, (differences, behind) in zip(summaries, pairs, strict=True)
    ]


def _find_ties(summaries: list[Summary]) -> list[Summary]:
    """The summaries with `ties`, which depend on the corrected p-values."""
    level: dict[tuple[Setting, str], set[Condition]] = defaultdict(set)
    for summary in summaries:
        for protocol, gain in summary.behind.items():
            if gain.is_tie:
                level[summary.condition.setting, protocol].add(summary.condition)
    return [
        replace(
            summary,
            ties=frozenset(
                protocol
                for (setting, protocol), conditions in level.items()
                if setting == summary.condition.setting
                and (protocol in summary.leads or summary.condition in conditions)
            ),
        )
        for summary in summaries
    ]


def _baseline(condition: Condition, samples: dict[Condition, dict[str, Sample]]) -> dict[str, Sample]:
    """Samples of the untrained encoder in the same setting: of the same variant, or of the only one.

    Variants with equal accuracies count as one: options that affect only training do not change this encoder.
    """
    untrained = {
        other.variant: values
        for other, values in samples.items()
        if other.method == UNTRAINED and other.setting == condition.setting
    }
    if condition.variant in untrained:
        return untrained[condition.variant]
    accuracies = [{name: sample.accuracies for name, sample in own.items()} for own in untrained.values()]
    equal = bool(accuracies) and all(own == accuracies[0] for own in accuracies)
    return next(iter(untrained.values())) if equal else {}
