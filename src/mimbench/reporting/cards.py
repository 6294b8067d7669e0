"""The findings and the table's rows as the page's template shows them."""

from itertools import groupby
from typing import Any

from mimbench.reporting import numbers, tables
from mimbench.reporting.findings import Finding, findings
from mimbench.reporting.statistics import NOISE, Difference, Estimate
from mimbench.reporting.summary import Summary, protocols

_UNKNOWN = ""


def findings_by_setting(summaries: list[Summary]) -> list[dict[str, Any]]:
    """A card per setting, a line per protocol: the leader, its lead, whether that is noise."""
    labels = protocols(summaries)
    grouped = groupby(findings(summaries), key=lambda finding: finding.setting)
    return [
        {"setting": setting, "lines": [_line(finding, labels[finding.protocol]) for finding in group]}
        for setting, group in grouped
    ]


def rows(summaries: list[Summary]) -> list[dict[str, Any]]:
    """A row per condition; accuracies carry a bar on the scale of their dataset and protocol."""
    scales = _scales(summaries)
    marks = tables.sources(summaries)
    shown = [name for name in protocols(summaries)]
    compared = {
        name: [field for field in ("differences", "behind") if any(name in getattr(s, field) for s in summaries)]
        for name in shown
    }
    return [
        {
            **summary.condition._asdict(),
            "label": summary.condition.label,
            "first": before is not None and before.condition.setting != summary.condition.setting,
            "cells": [_cell(summary, name, compared[name], scales) for name in shown],
            "published": [(row.text, marks[row.origin]) for row in summary.published],
            "costs": _costs(summary),
            "finished": summary.counts["finished"],
            "planned": summary.planned,
            "refused": summary.counts["refused"],
            "unfinished": tables.unfinished(summary.runs),
        }
        for before, summary in zip([None, *summaries], summaries, strict=False)
    ]


def _line(finding: Finding, title: str) -> dict[str, Any]:
    leader, lead = finding.leader, finding.lead
    line = {
        "protocol": title,
        "label": leader.condition.label,
        "accuracy": numbers.accuracy(leader.estimates[finding.protocol], leader.planned),
        "rest": "; ".join(_rest(finding)),
    }
    if lead and finding.runner_up:
        line |= {
            "lead": f"{numbers.gain(lead)[:-2]} {numbers.gain_interval(lead)}",
            "runner_up": finding.runner_up.condition.label,
            "kind": _kind(lead),
            "verdict": NOISE if lead.verdict == NOISE else f"not noise{' over images' if lead.over_images else ''}",
            "p": numbers.p_value(lead),
        }
    return line


def _rest(finding: Finding) -> list[str]:
    ties = [other.condition.label for other in finding.ties if other is not finding.runner_up]
    rest = [f"{', '.join(ties)}: within noise of it"] if ties else []
    if gain := finding.leader.differences.get(finding.protocol):
        rest.append(f"{numbers.gain(gain)} {numbers.gain_interval(gain)} over untrained")
    if finding.num_methods > 1:
        rest.append(f"{finding.num_better} of {finding.num_methods} beat untrained")
    return rest


def _cell(
    summary: Summary, protocol: str, compared: list[str], scales: dict[tuple[str, str], tuple[float, float]]
) -> dict[str, Any]:
    estimate = summary.estimates.get(protocol)
    gains = [_gain(summary, protocol, field) for field in compared]
    if estimate is None:
        return {"sort": _UNKNOWN, "gains": gains}
    mean, _, rest = numbers.accuracy(estimate, summary.planned).partition(" ")
    return {
        "sort": estimate.mean,
        "mean": mean,
        "rest": rest,
        "interval": numbers.accuracy_interval(estimate),
        "short": estimate.n < summary.planned,
        "bar": _bar(estimate, *scales[summary.condition.data, protocol]),
        "gains": gains,
    }


def _gain(summary: Summary, protocol: str, field: str) -> dict[str, Any]:
    gain = getattr(summary, field).get(protocol)
    if gain is not None:
        interval = numbers.gain_interval(gain)
        return {"sort": gain.mean, "text": numbers.gain(gain), "interval": interval} | _test(gain)
    return {"sort": 0.0, "kind": "best"} if field == "behind" and protocol in summary.leads else {"sort": _UNKNOWN}


def _test(gain: Difference) -> dict[str, str]:
    image = f"; over test images [{100 * gain.image_low:+.1f}, {100 * gain.image_high:+.1f}]"
    known = gain.image_low == gain.image_low
    return {"kind": _kind(gain), "p": f"{numbers.p_value(gain)}, {gain.source}{image if known else ''}"}


def _kind(gain: Difference) -> str:
    return "noise" if gain.verdict == NOISE else gain.verdict


def _scales(summaries: list[Summary]) -> dict[tuple[str, str], tuple[float, float]]:
    """The smallest and the largest value, with intervals, of each dataset and protocol."""
    ends: dict[tuple[str, str], list[float]] = {}
    for summary in summaries:
        for protocol, estimate in summary.estimates.items():
            known = [value for value in (estimate.mean, estimate.low, estimate.high) if value == value]
            ends.setdefault((summary.condition.data, protocol), []).extend(min(1.0, max(0.0, v)) for v in known)
    return {key: (min(values), max(values)) for key, values in ends.items()}


def _bar(estimate: Estimate, least: float, most: float) -> dict[str, float] | None:
    if most <= least:
        return None
    mean, low, high = (100 * (min(most, max(least, v)) - least) / (most - least) for v in estimate[:1] + estimate[3:5])
    known = low == low
    return {"dot": round(mean, 1), "left": round(low, 1) if known else 0, "width": round(high - low, 1) if known else 0}


def _costs(summary: Summary) -> list[tuple[float | str, str]]:
    values = (summary.training_flops, summary.device_hours, summary.train_seconds, summary.images_per_second)
    texts = (numbers.flops, numbers.hours, numbers.minutes, numbers.rate)
    return [(v if v == v else _UNKNOWN, write(v)) for v, write in zip(values, texts, strict=True)]
