"""Data for the template of the HTML page: the leaders of settings, and the rows of the table."""

import math
from itertools import groupby
from typing import Any, NamedTuple

from mimbench.reporting.comparisons import Comparison, compare
from mimbench.reporting.render import formatting, tables
from mimbench.reporting.statistics import NOISE, Difference, Estimate
from mimbench.reporting.summary import Compared, Summary, compared_protocols, protocols
from mimbench.runs.state import State

_UNKNOWN = ""  # sorted last by tables.js


class _Scale(NamedTuple):
    """The axis of a bar, in fractions."""

    low: float
    high: float


def leaders(summaries: list[Summary]) -> list[dict[str, Any]]:
    """One entry per setting with a line per protocol: the leader, its lead, and whether the lead is within noise."""
    labels = protocols(summaries)
    grouped = groupby(enumerate(compare(summaries)), key=lambda pair: pair[1].setting)
    return [
        {
            "setting": setting,
            # `pairs.rankings` has the same order.
            "lines": [{"ranking": number, **_line(c, labels[c.protocol])} for number, c in group],
        }
        for setting, group in grouped
    ]


def columns(summaries: list[Summary]) -> list[dict[str, Any]]:
    """The title of each protocol, and whether it has columns for the untrained encoder and for the leader."""
    compared = compared_protocols(summaries)
    return [
        {"title": title, "untrained": name in compared.with_untrained, "leader": name in compared.with_leader}
        for name, title in protocols(summaries).items()
    ]


def rows(summaries: list[Summary]) -> list[dict[str, Any]]:
    """One row per condition; each accuracy has a bar on the scale of its dataset and protocol."""
    names, scales = list(protocols(summaries)), _scales(summaries)
    compared, marks = compared_protocols(summaries), tables.sources(summaries)
    return [
        {
            **summary.condition._asdict(),
            "label": summary.condition.label,
            "first": before is not None and before.condition.setting != summary.condition.setting,
            "cells": [_cell(summary, name, compared, scales) for name in names],
            "published": [(row.text, marks[row.origin]) for row in summary.published],
            "costs": _costs(summary),
            "finished": summary.counts[State.FINISHED],
            "planned": summary.planned,
            "mark": tables.mark(summary),
            "refused": summary.counts[State.REFUSED],
            "unfinished": tables.unfinished(summary.runs),
        }
        for before, summary in zip([None, *summaries], summaries, strict=False)
    ]


def _line(comparison: Comparison, title: str) -> dict[str, Any]:
    leader, lead = comparison.leader, comparison.lead
    line = {
        "protocol": title,
        "label": leader.condition.label,
        "accuracy": formatting.accuracy(leader.estimates[comparison.protocol], leader.planned),
        "rest": "; ".join(_further(comparison)),
    }
    if comparison.ties:
        line["tie"] = f"level with {', '.join(comparison.level[1:])}"
    elif lead and comparison.runner_up:
        below = tables.below_untrained(leader, comparison.protocol)
        line |= {
            "lead": f"{formatting.points(lead)} {formatting.gain_interval(lead)}".strip(),
            "runner_up": comparison.runner_up.condition.label,
            "kind": "noise" if below else _kind(lead),
            "verdict": NOISE if lead.verdict == NOISE else f"not noise{' over images' if lead.over_images else ''}",
            "p": formatting.p_value(lead),
        }
    return line


def _further(comparison: Comparison) -> list[str]:
    shown = {summary.condition for summary in (comparison.runner_up, *comparison.ties) if summary}
    others = [other.condition.label for other in comparison.within_noise if other.condition not in shown]
    parts = [f"{', '.join(others)}: within noise of the leader"] if others else []
    if gain := comparison.leader.differences.get(comparison.protocol):
        parts.append(f"{tables.difference(gain)} over untrained")
    if comparison.num_methods > 1:
        parts.append(f"{comparison.num_better} of {comparison.num_methods} beat the untrained encoder")
    return parts


def _cell(summary: Summary, protocol: str, compared: Compared, scales: dict[tuple[str, str], _Scale]) -> dict[str, Any]:
    estimate = summary.estimates.get(protocol)
    gains = []
    if protocol in compared.with_untrained:
        gains.append(_gain(summary.differences.get(protocol)))
    if protocol in compared.with_leader:
        gains.append(_best(summary, protocol) or _gain(summary.behind.get(protocol)))
    if estimate is None:
        return {"sort": _UNKNOWN, "gains": gains}
    return {
        "sort": estimate.mean,
        "mean": formatting.mean(estimate),
        "deviation": formatting.deviation(estimate, summary.planned),
        "interval": formatting.accuracy_interval(estimate),
        "incomplete": estimate.n < summary.planned,
        "bar": _bar(estimate, scales[summary.condition.data, protocol]),
        "gains": gains,
    }


def _best(summary: Summary, protocol: str) -> dict[str, Any]:
    """Empty unless the condition is the best of its setting, alone or not."""
    text = tables.best(summary, protocol)
    kind = "noise" if tables.below_untrained(summary, protocol) else "best"
    return {"sort": 0.0, "text": text, "kind": kind, "test": "", "interval": ""} if text else {}


def _gain(gain: Difference | None) -> dict[str, Any]:
    if gain is None:
        return {"sort": _UNKNOWN}
    image = "" if math.isnan(gain.image_low) else f"; over test images {_image_interval(gain)}"
    return {
        "sort": gain.mean,
        "text": formatting.gain(gain),
        "interval": formatting.gain_interval(gain),
        "kind": _kind(gain),
        "test": f"{formatting.p_value(gain)}, {gain.source}{image}",
    }


def _image_interval(gain: Difference) -> str:
    return f"[{100 * gain.image_low:+.1f}, {100 * gain.image_high:+.1f}]"


def _kind(gain: Difference) -> str:
    return "noise" if gain.verdict == NOISE else gain.verdict


def _scales(summaries: list[Summary]) -> dict[tuple[str, str], _Scale]:
    """From the smallest to the largest value, including intervals, of each dataset and protocol."""
    ends: dict[tuple[str, str], list[float]] = {}
    for summary in summaries:
        for protocol, estimate in summary.estimates.items():
            known = [value for value in (estimate.mean, estimate.low, estimate.high) if not math.isnan(value)]
            ends.setdefault((summary.condition.data, protocol), []).extend(min(1.0, max(0.0, v)) for v in known)
    return {key: _Scale(min(values), max(values)) for key, values in ends.items()}


def _bar(estimate: Estimate, scale: _Scale) -> dict[str, float] | None:
    """Positions in percent of the axis; without an interval the bar has no width."""
    if scale.high <= scale.low:
        return None

    def position(value: float) -> float:
        return 100 * (min(scale.high, max(scale.low, value)) - scale.low) / (scale.high - scale.low)

    dot = round(position(estimate.mean), 1)
    if math.isnan(estimate.low):
        return {"dot": dot, "left": 0, "width": 0}
    left, right = position(estimate.low), position(estimate.high)
    return {"dot": dot, "left": round(left, 1), "width": round(right - left, 1)}


def _costs(summary: Summary) -> list[tuple[float | str, str]]:
    """Sort key and text of each cost."""
    formats = (
        (summary.training_flops, formatting.flops),
        (summary.device_hours, formatting.hours),
        (summary.train_seconds, formatting.minutes),
        (summary.images_per_second, formatting.rate),
    )
    return [(_UNKNOWN if math.isnan(value) else value, write(value)) for value, write in formats]
