"""What a sweep says about a claim: supported, contradicted or undecided, with the interval that says so."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scipy import stats

from mimbench.reporting.collect import Sweep
from mimbench.reporting.images import CONFIDENCE
from mimbench.reporting.runs import Run

SUPPORTS, CONTRADICTS, UNDECIDED = "supports", "contradicts", "undecided"
METHOD = (
    "A measurement supports a claim where its 95 % interval over seeds (Student t, runs paired by seed) lies above 0, "
    "contradicts it where it lies below, and leaves it undecided else. Not corrected for the number of measurements."
)


@dataclass(frozen=True)
class Verdict:
    """One measurement of a claim in one setting: a sum of weighted results per seed that the claim expects above 0.

    mean, low, high: Over seeds, with Student's 95 % interval, in fractions; NaN where too few seeds have all runs.
    """

    claim: str
    measurement: str
    setting: str
    num_seeds: int
    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @property
    def verdict(self) -> str:
        return SUPPORTS if self.low > 0 else CONTRADICTS if self.high < 0 else UNDECIDED

    @property
    def text(self) -> str:
        """`supports (photos · vit_micro): DeepMIM - MAE at half depth: +1.2 points [+0.3, +2.1], 3 seeds.`"""
        numbers = "no complete seed"
        if self.num_seeds:
            interval = f" [{100 * self.low:+.1f}, {100 * self.high:+.1f}]" if not math.isnan(self.low) else ""
            seeds = f"{self.num_seeds} seed{'s' * (self.num_seeds > 1)}"
            numbers = f"{100 * self.mean:+.1f} points{interval}, {seeds}"
        return f"{self.verdict} ({self.setting}): {self.measurement}: {numbers}."


def verdicts(sweep: Sweep) -> list[Verdict]:
    """One for every measurement of every claim that the finished runs carry in their configurations, by setting.

    A claim is `claim.text` and `claim.measurements`, each with a `name` and `terms`. A term has a `weight`, the
    `protocol` and the `value` in its result, for lists over depths the share of the depth (`at`), and `where`: the axes
    or configuration keys of the run that it is taken from. What `where` does not name, all terms share.
    """
    runs: dict[str, list[Run]] = defaultdict(list)
    for run in sweep.finished:
        if run.condition is not None and run.config.get("claim.measurements"):
            runs[str(run.config["claim.text"])].append(run)
    return [
        verdict
        for claim, own in runs.items()
        for measurement in own[0].config["claim.measurements"]
        for verdict in _measured(claim, measurement, own)
    ]


def _measured(claim: str, measurement: Mapping[str, Any], runs: Iterable[Run]) -> list[Verdict]:
    named = {key for term in measurement["terms"] for key in term["where"]}
    by_setting: dict[str, dict[int, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        shared = [run.axes["data"], run.axes["encoder"]]
        shared += [] if {"depth", "encoder.depth"} & named else [f"depth {run.axes['depth']}"]
        by_setting[" · ".join(map(str, shared))][run.axes["seed"]].append(run)
    found = []
    for setting, seeds in by_setting.items():
        sums = [_sum(measurement["terms"], own) for own in seeds.values()]
        values = [value for value in sums if value is not None]
        found.append(Verdict(claim, measurement["name"], setting, len(values), *_interval(values)))
    return found


def _sum(terms: Iterable[Mapping[str, Any]], runs: list[Run]) -> float | None:
    """The weighted sum over one seed's runs; None unless every term has exactly one run with the result."""
    total = 0.0
    for term in terms:
        fitting = [run for run in runs if all(_setting(run, key) == value for key, value in term["where"].items())]
        value = _value(fitting[0], term) if len(fitting) == 1 else None
        if value is None:
            return None
        total += term["weight"] * value
    return total


def _setting(run: Run, key: str) -> Any:
    return run.axes[key] if key in run.axes else run.config.get(key)


def _value(run: Run, term: Mapping[str, Any]) -> float | None:
    result = run.record.metrics.get(term["protocol"], {}) if run.record else {}
    value = result.get(term["value"]) if isinstance(result, Mapping) else None
    if isinstance(value, list):
        depth = round(term["at"] * run.axes["depth"])
        depths = result.get("depths", [])
        value = value[depths.index(depth)] if depth in depths else None
    return float(value) if isinstance(value, int | float) else None


def _interval(values: list[float]) -> tuple[float, float, float]:
    if not values:
        return math.nan, math.nan, math.nan
    mean = sum(values) / len(values)
    if max(values) - min(values) < 1e-9:  # one seed, or several that agree: no spread to judge by
        return mean, math.nan, math.nan
    interval = stats.ttest_1samp(values, 0.0).confidence_interval(CONFIDENCE)
    return mean, float(interval.low), float(interval.high)
