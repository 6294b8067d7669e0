"""The comparison: one summary per condition."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from mimbench.reporting import configs, correctness, published, statistics
from mimbench.reporting.collect import Sweep, frame, groups
from mimbench.reporting.published import Published
from mimbench.reporting.runs import UNTRAINED, Condition, Run, Setting
from mimbench.reporting.statistics import Difference, Estimate, Sample
from mimbench.reporting.titles import titles


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One row of the comparison.

    estimates, differences: By protocol; differences are to the untrained encoder of the same setting.
    behind: By protocol, the difference to the leader of the setting; the leader itself has none.
    leads: The protocols under which it is that leader.
    training_flops, images_per_second, train_seconds, device_hours: Means over the finished runs; NaN where unknown.
    published: What papers print for the same experiment; never part of any number here.
    """

    condition: Condition
    runs: tuple[Run, ...]
    samples: dict[str, Sample]
    estimates: dict[str, Estimate]
    differences: dict[str, Difference]
    behind: dict[str, Difference] = field(default_factory=dict)
    leads: frozenset[str] = frozenset()
    training_flops: float
    images_per_second: float
    train_seconds: float
    device_hours: float = math.nan
    published: tuple[Published, ...] = ()

    @property
    def counts(self) -> Counter[str]:
        return Counter(run.status for run in self.runs)

    @property
    def planned(self) -> int:
        return len(self.runs) - self.counts["refused"]

    @property
    def unfinished(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.status != "finished")


def summarise(sweep: Sweep) -> list[Summary]:
    """Every condition of the sweep in the order of the table; only finished runs are counted in.

    p-values are corrected for the number of comparisons in the whole table. The leader of a setting is picked by the
    numbers that show its lead, so that all pairs of trained conditions count, also those that are not shown.
    """
    samples = _samples(sweep)
    runs: dict[Condition, list[Run]] = {}
    for run in sweep.runs:
        if run.condition is not None:
            runs.setdefault(run.condition, []).append(run)
    ordered = sorted(runs, key=lambda condition: condition.order)
    leaders = _leaders(ordered, samples)
    return _corrected([_summary(condition, runs[condition], samples, leaders) for condition in ordered])


def protocols(summaries: Iterable[Summary]) -> dict[str, str]:
    """The protocols measured, as `titles` has them."""
    return titles(protocol for summary in summaries for protocol in summary.samples)


def num_comparisons(summaries: Iterable[Summary]) -> int:
    """How many p-values the correction counted."""
    summaries = list(summaries)
    pairs = (pair for summary in summaries for pair in (summary.differences, summary.behind))
    return sum(not math.isnan(gain.p) for pair in pairs for gain in pair.values()) + _num_not_shown(summaries)


def _num_not_shown(summaries: Iterable[Summary]) -> int:
    """Pairs of conditions that are compared with the same leader and not with each other."""
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
        places = ((seed, directories.get((condition, seed))) for seed in sample.accuracies)
        answers = {seed: correctness.read(place, protocol) for seed, place in places if place is not None}
        known = {seed: correct for seed, correct in answers.items() if _fits(correct, sample.accuracies[seed])}
        samples.setdefault(condition, {})[protocol] = sample._replace(correct=known)
    return samples


def _fits(correct: np.ndarray | None, accuracy: float) -> bool:
    """Whether these are the answers that the accuracy was computed from, to half an image."""
    return correct is not None and abs(float(correct.sum()) - accuracy * len(correct)) < 0.5


def _leaders(
    conditions: Iterable[Condition], samples: dict[Condition, dict[str, Sample]]
) -> dict[tuple[Setting, str], Condition]:
    """The trained condition with the highest mean over the seeds that all have, the first among equals.

    Where they share no seed, over its own.
    """
    rivals: dict[tuple[Setting, str], dict[Condition, dict[int, float]]] = defaultdict(dict)
    for condition in conditions:
        for protocol, sample in samples.get(condition, {}).items():
            if condition.method != UNTRAINED and sample.accuracies:
                rivals[condition.setting, protocol][condition] = sample.accuracies
    leaders = {}
    for key, accuracies in rivals.items():
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
    finished = [run for run in runs if run.record is not None and run.status == "finished"]
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
    """As recorded; of older records from the time and the configured number of devices."""
    cost = run.record.cost if run.record else {}
    seconds = cost.get("device_seconds")
    if seconds is None and cost.get("train_seconds") is not None:
        seconds = cost["train_seconds"] * configs.num_devices(run.config)
    return None if seconds is None else seconds / 3600


def _differences(own: dict[str, Sample], others: dict[str, Sample]) -> dict[str, Difference]:
    found = {p: statistics.difference(sample, others[p]) for p, sample in own.items() if p in others}
    return {protocol: value for protocol, value in found.items() if value is not None}


def _corrected(summaries: list[Summary]) -> list[Summary]:
    """With Holm's correction over every comparison of the table that has a p-value."""
    families = [gains for summary in summaries for gains in (summary.differences, summary.behind)]
    keys = [(at, p) for at, gains in enumerate(families) for p, gain in gains.items() if not math.isnan(gain.p)]
    adjusted = statistics.holm([families[at][protocol].p for at, protocol in keys], _num_not_shown(summaries))
    for (at, protocol), value in zip(keys, adjusted, strict=True):
        families[at] = families[at] | {protocol: families[at][protocol]._replace(adjusted=value)}
    pairs = zip(families[::2], families[1::2], strict=True)
    return [
        replace(summary, differences=differences, behind=behind)
        for summary, (differences, behind) in zip(summaries, pairs, strict=True)
    ]


def _baseline(condition: Condition, samples: dict[Condition, dict[str, Sample]]) -> dict[str, Sample]:
    """Of the untrained encoder in the same setting: the same variant, or the only one there is.

    What only changes how long to train leaves it as it is; variants with equal accuracies are one.
    """
    untrained = {
        other.variant: values
        for other, values in samples.items()
        if other.method == UNTRAINED and other.setting == condition.setting
    }
    if condition.variant in untrained:
        return untrained[condition.variant]
    accuracies = [{name: sample.accuracies for name, sample in own.items()} for own in untrained.values()]
    alike = bool(accuracies) and all(own == accuracies[0] for own in accuracies)
    return next(iter(untrained.values())) if alike else {}
