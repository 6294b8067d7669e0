"""Verdicts on the claims of a sweep, with the intervals over seeds that they follow from."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from mimbench.reporting.collect import Sweep
from mimbench.reporting.image_intervals import CONFIDENCE
from mimbench.reporting.runs import Run

SUPPORTS, CONTRADICTS, UNDECIDED = "supports", "contradicts", "undecided"
NO_DIFFERENCE = "no relevant difference"
POWER = 0.8
METHOD = (
    "A measurement supports a claim if its 95 % interval over seeds (Student t, runs paired by seed) lies above 0 and "
    "contradicts it if the interval lies below 0. If the interval contains 0 but no difference that is worth knowing "
    "(`claim.smallest`), there is no relevant difference; otherwise the measurement is undecided. Measurements are not "
    "corrected for their number."
)
_MOST_SEEDS = 1000


@dataclass(frozen=True)
class Verdict:
    """One measurement of a claim in one setting: per seed a weighted sum of results, which the claim says is above 0.

    num_seeds: Seeds with all runs that the measurement needs.
    mean, low, high: Mean over seeds with Student's 95 % interval, in fractions; NaN if there are too few seeds.
    smallest: The smallest difference that is worth knowing, as a fraction; 0 if the claim does not say.
    deviation: Standard deviation over seeds; NaN if there are too few.
    """

    claim: str
    measurement: str
    setting: str
    num_seeds: int
    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    smallest: float = 0.0
    deviation: float = math.nan

    @property
    def verdict(self) -> str:
        if self.low > 0 or self.high < 0:
            return SUPPORTS if self.low > 0 else CONTRADICTS
        return NO_DIFFERENCE if -self.smallest < self.low and self.high < self.smallest else UNDECIDED

    @property
    def text(self) -> str:
        """`supports (photos · vit_micro): DeepMIM - MAE at half depth: +1.2 points [+0.3, +2.1], 3 seeds.`"""
        numbers = "no complete seed"
        if self.num_seeds:
            interval = f" [{100 * self.low:+.1f}, {100 * self.high:+.1f}]" if not math.isnan(self.low) else ""
            seeds = f"{self.num_seeds} seed{'s' * (self.num_seeds > 1)}"
            numbers = f"{100 * self.mean:+.1f} points{interval}, {seeds}"
        remark = ""
        undecided = self.verdict == UNDECIDED and self.smallest and not math.isnan(self.deviation)
        if undecided and (needed := num_seeds(self.deviation, self.smallest)):
            remark = f" About {needed} seeds find a difference of {100 * self.smallest:g} points (80 % power)."
        return f"{self.verdict} ({self.setting}): {self.measurement}: {numbers}.{remark}"


def verdicts(sweep: Sweep) -> list[Verdict]:
    """One verdict per claim in the configurations of the finished runs, measurement and setting.

    A claim consists of `claim.text` and `claim.measurements`, each with a `name` and `terms`. A term has a `weight`,
    the `protocol` and the key `value` of its result, for lists by depth also the relative depth `at`, and `where`: axes
    or configuration keys with the values of the run that it is read from. All terms of a setting share the other axes.
    `claim.smallest` is the smallest difference that is worth knowing, as a fraction.
    """
    runs: dict[str, list[Run]] = defaultdict(list)
    for run in sweep.finished:
        if run.condition is not None and run.config.get("claim.measurements"):
            runs[str(run.config["claim.text"])].append(run)
    return [
        verdict
        for claim, own in runs.items()
        for measurement in own[0].config["claim.measurements"]
        for verdict in _verdicts(claim, measurement, own)
    ]


def _verdicts(claim: str, measurement: Mapping[str, Any], runs: Iterable[Run]) -> list[Verdict]:
    named = {key for term in measurement["terms"] for key in term["where"]}
    by_setting: dict[str, dict[int, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        shared = [run.axes["data"], run.axes["encoder"]]
        shared += [] if {"depth", "encoder.depth"} & named else [f"depth {run.axes['depth']}"]
        by_setting[" · ".join(map(str, shared))][run.axes["seed"]].append(run)
    verdicts = []
    for setting, seeds in by_setting.items():
        sums = [_sum(measurement["terms"], own) for own in seeds.values()]
        values = [value for value in sums if value is not None]
        smallest = _smallest(seeds)
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        verdict = Verdict(claim, measurement["name"], setting, len(values), *_interval(values), smallest, deviation)
        verdicts.append(verdict)
    return verdicts


def _smallest(seeds: Mapping[int, list[Run]]) -> float:
    value = next(iter(seeds.values()))[0].config.get("claim.smallest", 0)
    return float(value) if isinstance(value, int | float) and 0 <= value < 1 else 0.0


def num_seeds(deviation: float, difference: float) -> int | None:
    """Seeds with which a paired t test at 5 % finds a difference with 80 % power; None if above 1,000.

    Args:
        deviation: Standard deviation over seeds of the paired difference.
        difference: The true difference, in the same unit.
    """
    if not deviation:
        return 2
    for number in range(2, _MOST_SEEDS + 1):
        freedom = number - 1
        noncentrality = difference * math.sqrt(number) / deviation
        critical = stats.t.ppf((1 + CONFIDENCE) / 2, freedom)
        if stats.nct.sf(critical, freedom, noncentrality) >= POWER:
            return number
    return None


def _sum(terms: Iterable[Mapping[str, Any]], runs: list[Run]) -> float | None:
    """The weighted sum over the runs of one seed; None unless every term has exactly one run with the result."""
    total = 0.0
    for term in terms:
        matching = [run for run in runs if all(_setting(run, key) == value for key, value in term["where"].items())]
        value = _value(matching[0], term) if len(matching) == 1 else None
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
    if max(values) - min(values) < 1e-9:  # one seed, or seeds with equal values: no variance
        return mean, math.nan, math.nan
    interval = stats.ttest_1samp(values, 0.0).confidence_interval(CONFIDENCE)
    return mean, float(interval.low), float(interval.high)
