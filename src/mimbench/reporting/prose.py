"""The findings and the state of a sweep in plain sentences."""

from collections import Counter
from itertools import groupby

from mimbench.reporting import numbers
from mimbench.reporting.collect import Sweep
from mimbench.reporting.runs import Setting
from mimbench.reporting.statistics import NOISE
from mimbench.reporting.summary import Finding, Summary, findings, protocols
from mimbench.reporting.tables import UNFINISHED


def state(sweep: Sweep) -> str:
    """`24 of 27 runs finished; 1 failed, 2 missing, 1 refused.`"""
    counts = Counter(run.status for run in sweep.runs)
    total = len(sweep.runs) - counts["refused"]
    rest = ", ".join(f"{counts[status]} {status}" for status in UNFINISHED if counts[status])
    return f"{counts['finished']} of {total} runs finished" + (f"; {rest}." if rest else ".")


def conclusions(summaries: list[Summary]) -> dict[Setting, list[str]]:
    """Per setting and protocol one sentence: who leads, whether that is noise, how many beat the untrained encoder."""
    labels = protocols(summaries)
    grouped = groupby(findings(summaries), key=lambda finding: finding.setting)
    return {setting: [_sentence(finding, labels[finding.protocol]) for finding in group] for setting, group in grouped}


def _sentence(finding: Finding, label: str) -> str:
    leader = finding.leader
    parts = [f"{label}: {leader.condition.label} {numbers.accuracy(leader.estimates[finding.protocol])}"]
    if gain := leader.differences.get(finding.protocol):
        parts.append(f"over untrained {numbers.gain(gain)} {numbers.gain_interval(gain)}")
    if finding.runner_up and finding.lead:
        tie = ", a tie" if finding.lead.verdict == NOISE else ""
        lead = f"{numbers.gain(finding.lead)} {numbers.gain_interval(finding.lead)}{tie}"
        parts.append(f"over {finding.runner_up.condition.label} {lead}")
    if finding.num_methods:
        parts.append(f"{finding.num_better} of {finding.num_methods} measured beat untrained")
    return "; ".join(parts) + "."
