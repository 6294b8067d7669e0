"""The findings and the state of a sweep in plain sentences."""

from collections import Counter
from itertools import groupby

from mimbench.reporting import numbers
from mimbench.reporting.collect import Sweep
from mimbench.reporting.findings import Finding, findings, tally
from mimbench.reporting.runs import Setting
from mimbench.reporting.statistics import NOISE
from mimbench.reporting.summary import Summary, protocols
from mimbench.reporting.tables import UNFINISHED


def state(sweep: Sweep) -> str:
    """`24 of 27 runs finished; 1 failed, 2 missing, 1 refused.`"""
    counts = Counter(run.status for run in sweep.runs)
    total = len(sweep.runs) - counts["refused"]
    rest = ", ".join(f"{counts[status]} {status}" for status in UNFINISHED if counts[status])
    return f"{counts['finished']} of {total} runs finished" + (f"; {rest}." if rest else ".")


def answer(summaries: list[Summary]) -> list[str]:
    """The sweep in a sentence per protocol: who leads how often, how often beyond noise, and whether that is progress.

    Where every setting has one method only, how often it beats the untrained encoder.
    """
    labels, found = protocols(summaries), findings(summaries)
    tallies = tally(found)
    sentences = []
    for protocol in [name for name in labels if name not in {entry.protocol for entry in tallies}]:
        alone = [finding for finding in found if finding.protocol == protocol and finding.num_methods]
        better, worse = sum(finding.num_better for finding in alone), sum(finding.num_worse for finding in alone)
        if alone:
            sentences.append(f"{labels[protocol]}: pre-training {_against_untrained(len(alone), better, worse)}.")
    for entry in tallies:
        title = labels[entry.protocol]
        places = "the one setting" if entry.settings == 1 else f"{entry.leads} of {entry.settings} settings"
        noise = "its lead over the next is within noise" if entry.clear == 0 else "beyond noise"
        if 0 < entry.clear < entry.leads:
            noise = f"{noise} in {entry.clear}"
        elif entry.clear == 0 and entry.leads > 1:
            noise = "its lead over the next is within noise in all of them"
        sentence = f"{title}: {entry.label} leads in {places}, {noise}{numbers.DAGGER if entry.over_images else ''}"
        # Leading says little where an encoder that learned nothing is as good.
        against = f"; it {_against_untrained(entry.compared, entry.better, entry.worse)}" if entry.compared else ""
        sentences.append(f"{sentence}{against}.")
    return sentences


def _against_untrained(settings: int, better: int, worse: int) -> str:
    if settings == 1:
        verb = "beats" if better else "is worse than" if worse else "does not beat"
        return f"{verb} the untrained encoder"
    rest = f" and is worse in {worse}" if worse else ""
    return f"beats the untrained encoder in {better} of {settings}{rest}"


def conclusions(summaries: list[Summary]) -> dict[Setting, list[str]]:
    """Per setting and protocol one sentence: who leads, whether that is noise, how many beat the untrained encoder."""
    labels = protocols(summaries)
    grouped = groupby(findings(summaries), key=lambda finding: finding.setting)
    return {setting: [_sentence(finding, labels[finding.protocol]) for finding in group] for setting, group in grouped}


def _sentence(finding: Finding, label: str) -> str:
    leader = finding.leader
    parts = [
        f"{label}: {leader.condition.label} {numbers.accuracy(leader.estimates[finding.protocol], leader.planned)}"
    ]
    if gain := leader.differences.get(finding.protocol):
        parts.append(f"over untrained {numbers.gain(gain)} {numbers.gain_interval(gain)}")
    if finding.runner_up and finding.lead:
        tie = f", within noise ({numbers.p_value(finding.lead)})" if finding.lead.verdict == NOISE else ""
        lead = f"{numbers.gain(finding.lead)} {numbers.gain_interval(finding.lead)}{tie}"
        parts.append(f"over {finding.runner_up.condition.label} {lead}")
    if len(finding.ties) > 1:
        parts.append(f"{len(finding.ties)} of the others are within noise of it")
    if finding.num_methods:
        parts.append(f"{finding.num_better} of {finding.num_methods} measured beat untrained")
    return "; ".join(parts) + "."
