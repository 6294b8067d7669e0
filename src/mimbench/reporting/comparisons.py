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
    within_noise: All conditions whose difference to the leader is within noise.
    ties: Those of them that are level with it: no difference in the digits shown. Then no method leads.
    num_better, num_worse: How many of num_methods are better and worse than the untrained encoder.
    num_methods: Trained conditions that could be compared with the untrained encoder.
    """

    setting: Setting
    protocol: str
    leader: Summary
    runner_up: Summary | None
    lead: Difference | None
    within_noise: tuple[Summary, ...]
    ties: tuple[Summary, ...]
    num_better: int
    num_worse: int
    num_methods: int

    @property
    def level(self) -> list[str]:
        """The labels of the best methods if several are level; otherwise empty."""
        return [summary.condition.label for summary in (self.leader, *self.ties)] if self.ties else []


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
    compared = [other for other in ranked[1:] if protocol in other.behind]
    within_noise = tuple(other for other in compared if other.behind[protocol].verdict == NOISE)
    ties = tuple(other for other in compared if other.behind[protocol].is_tie)
    gains = [summary.differences[protocol] for summary in ranked if protocol in summary.differences]
    verdicts = Counter(gain.verdict for gain in gains)
    lead = behind.reversed if behind else None
    better, worse = verdicts[BETTER], verdicts[WORSE]
    return Comparison(setting, protocol, leader, runner_up, lead, within_noise, ties, better, worse, len(gains))


@dataclass(frozen=True)
class WinCount:
    """The condition that leads the most settings under a protocol, and how often it leads.

    labels: Of that condition, or of several that lead equally many; empty if all settings are ties.
    level: The best methods of a setting that is a tie, if all settings are ties of these; otherwise empty.
    num_settings: Settings in which at least two trained conditions can be compared.
    num_wins: Settings of these that each of `labels` leads.
    num_clear_wins: Settings that one of them leads beyond noise.
    num_ties: Settings without a leader, because the best methods are level.
    num_compared: Settings that one of them leads and in which it can be compared with the untrained encoder.
    num_better, num_worse: In how many of these it is better and worse than the untrained encoder.
    over_images: Whether all leads were tested over test images only.
    """

    protocol: str
    labels: tuple[str, ...]
    level: tuple[str, ...]
    num_settings: int
    num_wins: int
    num_clear_wins: int
    num_ties: int
    num_compared: int
    num_better: int
    num_worse: int
    over_images: bool


def count_wins(comparisons: list[Comparison]) -> list[WinCount]:
    """One count per protocol with at least one comparison of two trained conditions, in the order given."""
    counts = []
    for protocol in dict.fromkeys(comparison.protocol for comparison in comparisons):
        with_lead = [c for c in comparisons if c.protocol == protocol and c.lead is not None]
        if with_lead:
            counts.append(_count(protocol, with_lead))
    return counts


def _count(protocol: str, comparisons: list[Comparison]) -> WinCount:
    wins = Counter(c.leader.condition.label for c in comparisons if not c.ties)
    num_wins = max(wins.values(), default=0)
    labels = tuple(label for label, number in wins.items() if number == num_wins)
    own = [c for c in comparisons if c.leader.condition.label in labels and not c.ties]
    leads = [c.lead for c in own if c.lead is not None]
    gains = [c.leader.differences[protocol] for c in own if protocol in c.leader.differences]
    verdicts = Counter(gain.verdict for gain in gains)
    level = {tuple(c.level) for c in comparisons}
    return WinCount(
        protocol,
        labels,
        level=level.pop() if len(level) == 1 else (),
        num_settings=len(comparisons),
        num_wins=num_wins,
        num_clear_wins=sum(lead.verdict == BETTER for lead in leads),
        num_ties=sum(bool(c.ties) for c in comparisons),
        num_compared=len(gains),
        num_better=verdicts[BETTER],
        num_worse=verdicts[WORSE],
        over_images=bool(leads) and all(lead.over_images for lead in leads),
    )
