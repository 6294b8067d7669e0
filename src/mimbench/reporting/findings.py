"""Who leads, by how much, and whether the lead is noise."""

from collections import Counter
from dataclasses import dataclass
from itertools import groupby

from mimbench.reporting.runs import UNTRAINED, Setting
from mimbench.reporting.statistics import BETTER, NOISE, Difference
from mimbench.reporting.summary import Summary, protocols


@dataclass(frozen=True)
class Finding:
    """Who leads a setting under a protocol, over the untrained encoder and over the next; None where unknown.

    ties: Further conditions whose difference to the leader is within noise.
    """

    setting: Setting
    protocol: str
    leader: Summary
    runner_up: Summary | None
    lead: Difference | None
    ties: tuple[Summary, ...]
    num_better: int
    num_methods: int


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
    behind = runner_up.behind.get(protocol) if runner_up else None
    ties = tuple(other for other in ranked[1:] if protocol in other.behind and other.behind[protocol].verdict == NOISE)
    compared = [summary.differences[protocol] for summary in ranked if protocol in summary.differences]
    num_better = sum(gain.verdict == BETTER for gain in compared)
    lead = behind.reversed if behind else None
    return Finding(setting, protocol, leader, runner_up, lead, ties, num_better, len(compared))


@dataclass(frozen=True)
class Tally:
    """How often the condition that leads most settings under a protocol does so, and in how many beyond noise.

    settings: Settings in which at least two trained conditions were measured.
    compared: Of the settings it leads, those with the untrained encoder; and in how many of them it is better.
    """

    protocol: str
    label: str
    leads: int
    clear: int
    settings: int
    compared: int
    better: int


def tally(found: list[Finding]) -> list[Tally]:
    """One per protocol that compares anything, in the order of the findings."""
    result = []
    for protocol in dict.fromkeys(finding.protocol for finding in found):
        compared = [finding for finding in found if finding.protocol == protocol and finding.lead is not None]
        leads = Counter(finding.leader.condition.label for finding in compared)
        if leads:
            label, count = leads.most_common(1)[0]
            own = [finding for finding in compared if finding.leader.condition.label == label]
            clear = sum(finding.lead is not None and finding.lead.verdict == BETTER for finding in own)
            gains = [f.leader.differences[protocol] for f in own if protocol in f.leader.differences]
            better = sum(gain.verdict == BETTER for gain in gains)
            result.append(Tally(protocol, label, count, clear, len(compared), len(gains), better))
    return result
