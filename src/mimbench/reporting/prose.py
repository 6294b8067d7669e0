"""The findings and the state of a sweep in plain sentences."""

from collections import Counter
from itertools import groupby

from mimbench.reporting import numbers
from mimbench.reporting.collect import Sweep
from mimbench.reporting.findings import Finding, Tally, findings, tally
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
        better = sum(finding.num_better for finding in alone)
        if alone:
            places = f"{better} of {len(alone)} settings" if len(alone) > 1 else "the one setting"
            verb = "does not beat" if len(alone) == 1 and not better else "beats"
            verdict = f"pre-training {verb} the untrained encoder beyond noise in {places}"
            sentences.append(f"{labels[protocol]}: {verdict}.")
    for entry in tallies:
        title = labels[entry.protocol]
        places = "the one setting" if entry.settings == 1 else f"{entry.leads} of {entry.settings} settings"
        noise = "its lead over the next is within noise" if entry.clear == 0 else "beyond noise"
        if 0 < entry.clear < entry.leads:
            noise = f"{noise} in {entry.clear}"
        elif entry.clear == 0 and entry.leads > 1:
            noise = "its lead over the next is within noise in all of them"
        sentences.append(f"{title}: {entry.label} leads in {places}, {noise}{_over_untrained(entry)}.")
    return sentences


def _over_untrained(entry: Tally) -> str:
    """Leading says little where an encoder that learned nothing is as good."""
    if entry.compared <= 1:
        verb = "beats" if entry.better else "does not beat"
        return f"; it {verb} the untrained encoder" if entry.compared else ""
    return f"; it beats the untrained encoder in {entry.better} of {entry.compared}"


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
