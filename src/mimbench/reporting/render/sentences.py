"""The state and the results of a sweep in sentences."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from mimbench.reporting.collect import Sweep
from mimbench.reporting.comparisons import Comparison, WinCount, compare, count_wins
from mimbench.reporting.cost import device_hours
from mimbench.reporting.render import formatting, tables
from mimbench.reporting.runs import Setting
from mimbench.reporting.statistics import NOISE
from mimbench.reporting.summary import Summary, protocols
from mimbench.runs.state import State


def state(sweep: Sweep) -> str:
    """`24 of 27 runs finished; 1 failed, 2 planned, 1 refused.`"""
    counts = Counter(run.status for run in sweep.runs)
    total = len(sweep.runs) - counts[State.REFUSED]
    rest = ", ".join(f"{counts[status]} {status}" for status in tables.UNFINISHED if counts[status])
    return f"{counts[State.FINISHED]} of {total} runs finished" + (f"; {rest}." if rest else ".")


def cost(summaries: list[Summary]) -> str:
    """`Pre-training took 2.5 CPU hours, 2 cores (20 runs).`; empty if no cost is known."""
    known = [s for s in summaries if s.device_hours > 0]
    if not known:
        return ""
    number = sum(summary.counts[State.FINISHED] for summary in known)
    hours = sum(summary.device_hours * summary.counts[State.FINISHED] for summary in known)
    runs = "one run" if number == 1 else f"{number} runs"
    return f"Pre-training took {formatting.hours(hours)} {device_hours(known)}, in {runs}."


def answer(summaries: list[Summary]) -> list[str]:
    """One sentence per protocol: which method leads in how many settings, beyond noise or not, and against untrained.

    If no setting has two methods that can be compared: in how many settings pre-training beats the untrained encoder.
    """
    titles, comparisons = protocols(summaries), compare(summaries)
    counts = count_wins(comparisons)
    sentences = []
    for protocol in [name for name in titles if name not in {count.protocol for count in counts}]:
        alone = [c for c in comparisons if c.protocol == protocol and c.num_methods]
        better, worse = sum(c.num_better for c in alone), sum(c.num_worse for c in alone)
        if alone:
            sentences.append(f"{titles[protocol]}: pre-training {_against_untrained(len(alone), better, worse)}.")
    return sentences + [_wins(count, titles[count.protocol]) for count in counts]


def _wins(count: WinCount, title: str) -> str:
    if not count.labels:
        where = "the only setting" if count.num_settings == 1 else f"all {count.num_settings} settings"
        return f"{title}: no method leads: {_join(count.level) or 'the best methods'} are level in {where}."
    where = "the only setting" if count.num_settings == 1 else f"{count.num_wins} of {count.num_settings} settings"
    num_leads = count.num_wins * len(count.labels)
    if count.num_clear_wins == 0:
        in_all = " in all of them" if num_leads > 1 else ""
        noise = f"its lead over the next method is within noise{in_all}"
    else:
        noise = "beyond noise" if count.num_clear_wins == num_leads else f"beyond noise in {count.num_clear_wins}"
    dagger = formatting.DAGGER if count.over_images else ""
    if len(count.labels) > 1:
        noise = noise.removeprefix("its lead over the next method is ")
        return f"{title}: {_join(count.labels)} lead in {where} each, {noise}{dagger}{_ties(count)}."
    # A lead means little if the untrained encoder is as good.
    against = ""
    if count.num_compared:
        against = f"; it {_against_untrained(count.num_compared, count.num_better, count.num_worse)}"
    return f"{title}: {_join(count.labels)} leads in {where}, {noise}{dagger}{_ties(count)}{against}."


def _ties(count: WinCount) -> str:
    return f"; the best methods are level in {count.num_ties}" if count.num_ties else ""


def _join(names: Sequence[str]) -> str:
    """`MAE, MFF and MIRL`."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def _against_untrained(settings: int, better: int, worse: int) -> str:
    if settings == 1:
        verb = "beats" if better else "is worse than" if worse else "does not beat"
        return f"{verb} the untrained encoder"
    rest = f" and is worse in {worse}" if worse else ""
    return f"beats the untrained encoder in {better} of {settings}{rest}"


def conclusions(summaries: list[Summary]) -> dict[Setting, list[str]]:
    """By setting one sentence per protocol: the leader, whether its lead is noise, how many beat untrained."""
    titles = protocols(summaries)
    grouped = groupby(compare(summaries), key=lambda comparison: comparison.setting)
    return {setting: [_sentence(c, titles[c.protocol]) for c in group] for setting, group in grouped}


def _sentence(comparison: Comparison, title: str) -> str:
    leader, lead = comparison.leader, comparison.lead
    estimate = leader.estimates[comparison.protocol]
    parts = [f"{title}: {leader.condition.label} {formatting.accuracy(estimate, leader.planned)}"]
    if gain := leader.differences.get(comparison.protocol):
        parts.append(f"over untrained {tables.difference(gain)}")
    if comparison.ties:
        parts.append(f"level with {_join(comparison.level[1:])}")
    elif comparison.runner_up and lead:
        noise = f", within noise ({formatting.p_value(lead)})" if lead.verdict == NOISE else ""
        over = f"over {comparison.runner_up.condition.label}"
        parts.append(f"{over} {tables.difference(lead)}{noise}")
    if len(comparison.within_noise) > 1:
        parts.append(f"{len(comparison.within_noise)} other methods are within noise of the leader")
    if comparison.num_methods:
        parts.append(f"{comparison.num_better} of {comparison.num_methods} beat the untrained encoder")
    return "; ".join(parts) + "."
