"""Who leads, by how much, and whether the lead is noise."""

from collections import Counter
from dataclasses import dataclass
from itertools import groupby

from mimbench.reporting.runs import UNTRAINED, Setting
from mimbench.reporting.statistics import BETTER, NOISE, WORSE, Difference
from mimbench.reporting.summary import Summary, protocols


@dataclass(frozen=True)
class Finding:
    """Who leads a setting under a protocol, over the untrained encoder and over the next; None where unknown.

    num_better, num_worse: Of num_methods, those that are so than the untrained encoder.
    ties: Further conditions whose difference to the leader is within noise.
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


def findings(summaries: list[Summary]) -> list[Finding]:
    """The leader of each setting and protocol by mean accuracy."""
    result = []
    for setting, group in groupby(summaries, key=lambda summary: summary.condition.setting):
        trained = [summary for summary in group if summary.condition.method != UNTRAINED]
        for protocol in protocols(trained):
            ranked = sorted((s for s in trained if protocol in s.estimates), key=lambda s: _rank(s, protocol))
            if ranked:
                result.append(_finding(setting, protocol, ranked))
    return result


def _rank(summary: Summary, protocol: str) -> tuple[bool, bool, float]:
    """The leader, then by the distance to it, then what cannot be compared with it."""
    behind = summary.behind.get(protocol)
    value = summary.estimates[protocol].mean if behind is None else behind.mean
    return protocol not in summary.leads, behind is None, -value


def _finding(setting: Setting, protocol: str, ranked: list[Summary]) -> Finding:
    leader, runner_up = ranked[0], ranked[1] if len(ranked) > 1 else None
    behind = runner_up.behind.get(protocol) if runner_up else None
    ties = tuple(other for other in ranked[1:] if protocol in other.behind and other.behind[protocol].verdict == NOISE)
    compared = [summary.differences[protocol] for summary in ranked if protocol in summary.differences]
    verdicts = Counter(gain.verdict for gain in compared)
    lead = behind.reversed if behind else None
    return Finding(setting, protocol, leader, runner_up, lead, ties, verdicts[BETTER], verdicts[WORSE], len(compared))


@dataclass(frozen=True)
class Tally:
    """How often the condition that leads most settings under a protocol does so, and in how many beyond noise.

    settings: Settings in which at least two trained conditions were measured.
    compared: Of the settings it leads, those with the untrained encoder; in how many of them it is better, and worse.
    over_images: Whether all its leads are over test images only.
    """

    protocol: str
    label: str
    leads: int
    clear: int
    settings: int
    compared: int
    better: int
    worse: int
    over_images: bool


def tally(found: list[Finding]) -> list[Tally]:
    """One per protocol that compares anything, in the order of the findings."""
    result = []
    for protocol in dict.fromkeys(finding.protocol for finding in found):
        compared = [finding for finding in found if finding.protocol == protocol and finding.lead is not None]
        leads = Counter(finding.leader.condition.label for finding in compared)
        if leads:
            label, count = leads.most_common(1)[0]
            own = [finding for finding in compared if finding.leader.condition.label == label]
            own_leads = [finding.lead for finding in own if finding.lead is not None]
            gains = [f.leader.differences[protocol] for f in own if protocol in f.leader.differences]
            verdicts = Counter(gain.verdict for gain in gains)
            result.append(
                Tally(
                    protocol,
                    label,
                    leads=count,
                    clear=sum(lead.verdict == BETTER for lead in own_leads),
                    settings=len(compared),
                    compared=len(gains),
                    better=verdicts[BETTER],
                    worse=verdicts[WORSE],
                    over_images=all(lead.over_images for lead in own_leads),
                )
            )
    return result
