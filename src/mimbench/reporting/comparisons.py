"""Leaders of settings: which method leads, by how much, and whether its lead is within noise."""

from collections import Counter
from dataclasses import dataclass
from itertools import groupby

from mimbench.reporting.runs import UNTRAINED, Setting
from mimbench.reporting.statistics import BETTER, NOISE, WORSE, Difference
from mimbench.reporting.summary import Summary, protocols


@dataclass(frozen=True)
class Comparison:
    """The methods of one setting under one protocol.

    runner_up: The best condition after the leader; None if there is no other.
    lead: Difference of the leader to the runner-up; None if they cannot be compared.
    ties: All conditions whose difference to the leader is within noise.
    num_better, num_worse: How many of num_methods are better and worse than the untrained encoder.
    num_methods: Trained conditions that could be compared with the untrained encoder.
    """

    setting: Setting
    protocol: str
    leader: Summary
    runner_up: Summary | None
    lead: Difference | None
    ties: tuple[Summary, ...]
    num_better: int
    num_worse: int
    num_methods: int


def compare(summaries: list[Summary]) -> list[Comparison]:
    """One comparison per setting and protocol that any trained condition was measured with."""
    comparisons = []
    for setting, group in groupby(summaries, key=lambda summary: summary.condition.setting):
        trained = [summary for summary in group if summary.condition.method != UNTRAINED]
        for protocol in protocols(trained):
            ranked = sorted((s for s in trained if protocol in s.estimates), key=lambda s: _rank(s, protocol))
            if ranked:
                comparisons.append(_comparison(setting, protocol, ranked))
    return comparisons


def _rank(summary: Summary, protocol: str) -> tuple[bool, bool, float]:
    """Sorts the leader first, then by the difference to it, then conditions that cannot be compared with it."""
    behind = summary.behind.get(protocol)
    value = summary.estimates[protocol].mean if behind is None else behind.mean
    return protocol not in summary.leads, behind is None, -value


def _comparison(setting: Setting, protocol: str, ranked: list[Summary]) -> Comparison:
    leader, runner_up = ranked[0], ranked[1] if len(ranked) > 1 else None
    behind = runner_up.behind.get(protocol) if runner_up else None
    ties = tuple(other for other in ranked[1:] if protocol in other.behind and other.behind[protocol].verdict == NOISE)
    gains = [summary.differences[protocol] for summary in ranked if protocol in summary.differences]
    verdicts = Counter(gain.verdict for gain in gains)
    lead = behind.reversed if behind else None
    return Comparison(setting, protocol, leader, runner_up, lead, ties, verdicts[BETTER], verdicts[WORSE], len(gains))


@dataclass(frozen=True)
class WinCount:
    """The condition that leads the most settings under a protocol, and how often it leads.

    label: Of that condition.
    num_settings: Settings in which at least two trained conditions can be compared.
    num_wins: Settings of these that it leads.
    num_clear_wins: Settings that it leads beyond noise.
    num_compared: Settings that it leads and in which it can be compared with the untrained encoder.
    num_better, num_worse: In how many of these it is better and worse than the untrained encoder.
    over_images: Whether all its leads were tested over test images only.
    """

    protocol: str
    label: str
    num_settings: int
    num_wins: int
    num_clear_wins: int
    num_compared: int
    num_better: int
    num_worse: int
    over_images: bool


def count_wins(comparisons: list[Comparison]) -> list[WinCount]:
    """One count per protocol with at least one comparison of two trained conditions, in the order given."""
    counts = []
    for protocol in dict.fromkeys(comparison.protocol for comparison in comparisons):
        with_lead = [c for c in comparisons if c.protocol == protocol and c.lead is not None]
        wins = Counter(comparison.leader.condition.label for comparison in with_lead)
        if wins:
            label, num_wins = wins.most_common(1)[0]
            own = [comparison for comparison in with_lead if comparison.leader.condition.label == label]
            leads = [comparison.lead for comparison in own if comparison.lead is not None]
            gains = [c.leader.differences[protocol] for c in own if protocol in c.leader.differences]
            verdicts = Counter(gain.verdict for gain in gains)
            counts.append(
                WinCount(
                    protocol,
                    label,
                    num_settings=len(with_lead),
                    num_wins=num_wins,
                    num_clear_wins=sum(lead.verdict == BETTER for lead in leads),
                    num_compared=len(gains),
                    num_better=verdicts[BETTER],
                    num_worse=verdicts[WORSE],
                    over_images=all(lead.over_images for lead in leads),
                )
            )
    return counts
