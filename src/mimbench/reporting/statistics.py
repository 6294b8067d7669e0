"""What seeds and test images allow to be said: means, intervals, differences."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE = 0.95
BETTER, WORSE, NOISE = "better", "worse", "within noise"

OVER_SEEDS = "Student t over seeds"
PAIRED = "paired t over shared seeds"
UNPAIRED = "Welch t over seeds"
OVER_IMAGES = "Wilson over test images"
TWO_PROPORTIONS = "Newcombe over test images"


class Estimate(NamedTuple):
    """A mean accuracy over n seeds with its 95 % interval; fractions. `source` says what the interval covers."""

    mean: float
    sd: float
    n: int
    low: float
    high: float
    source: str


class Difference(NamedTuple):
    """A difference of two mean accuracies over n seeds with its 95 % interval; fractions."""

    mean: float
    n: int
    low: float
    high: float
    source: str

    @property
    def verdict(self) -> str:
        """`better` or `worse` where the interval leaves out zero."""
        return BETTER if self.low > 0 else WORSE if self.high < 0 else NOISE


class Sample(NamedTuple):
    """Accuracies of one condition under one protocol by seed, each over num_test images."""

    accuracies: dict[int, float]
    num_test: float


def sample(rows: pd.DataFrame) -> Sample:
    """From the rows of one condition and protocol in `collect.frame`; with unequal test sets the smallest counts."""
    pairs = zip(rows["seed"].tolist(), rows["accuracy"].tolist(), strict=True)
    return Sample({seed: accuracy for seed, accuracy in pairs if math.isfinite(accuracy)}, min(rows["num_test"]))


def estimate(values: Sample) -> Estimate | None:
    """Student's t over seeds; Wilson's interval over test images where seeds show no spread, as with one seed."""
    accuracies = list(values.accuracies.values())
    if not accuracies:
        return None
    average = mean(accuracies)
    deviation = float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else math.nan
    if _spread(accuracies):
        interval = stats.ttest_1samp(accuracies, 0.0).confidence_interval(CONFIDENCE)
        return Estimate(average, deviation, len(accuracies), float(interval.low), float(interval.high), OVER_SEEDS)
    low, high = _wilson(average, values.num_test)
    return Estimate(average, deviation, len(accuracies), low, high, OVER_IMAGES)


def difference(values: Sample, baseline: Sample) -> Difference | None:
    """How much better `values` are: paired over shared seeds, else Welch's t; over test images where one seed is left.

    None where nothing can be compared: no seed shared and fewer than two on either side.
    """
    shared = sorted(values.accuracies.keys() & baseline.accuracies.keys())
    own, base = [values.accuracies[seed] for seed in shared], [baseline.accuracies[seed] for seed in shared]
    gains = [ours - theirs for ours, theirs in zip(own, base, strict=True)]
    if _spread(gains):
        interval = stats.ttest_rel(own, base).confidence_interval(CONFIDENCE)
        return Difference(mean(gains), len(gains), float(interval.low), float(interval.high), PAIRED)
    everything, all_base = list(values.accuracies.values()), list(baseline.accuracies.values())
    if len(gains) < 2 and _spread(everything) and _spread(all_base):
        return _unpaired(everything, all_base)
    if not gains:
        return None
    low, high = _newcombe(mean(own), values.num_test, mean(base), baseline.num_test)
    return Difference(mean(gains), len(gains), low, high, TWO_PROPORTIONS)


def mean(values: Iterable[float | None]) -> float:
    """Of the numbers that are there; NaN without any."""
    numbers = [value for value in values if value is not None and math.isfinite(value)]
    return float(np.mean(numbers)) if numbers else math.nan


def _spread(values: Sequence[float]) -> bool:
    """Whether a variance over seeds exists: accuracies are counts over images, so equal ones happen by chance."""
    return len(values) >= 2 and max(values) - min(values) > 1e-9


def _unpaired(own: list[float], base: list[float]) -> Difference:
    interval = stats.ttest_ind(own, base, equal_var=False).confidence_interval(CONFIDENCE)
    num = min(len(own), len(base))
    return Difference(mean(own) - mean(base), num, float(interval.low), float(interval.high), UNPAIRED)


def _wilson(accuracy: float, num_test: float) -> tuple[float, float]:
    if not num_test > 0:
        return math.nan, math.nan
    interval = stats.binomtest(round(accuracy * num_test), int(num_test)).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def _newcombe(own: float, num_own: float, base: float, num_base: float) -> tuple[float, float]:
    """Newcombe 1998, method 10, from two Wilson intervals; scipy has none for two proportions.

    Takes the two as independent. Encoders tested on the same images agree more often than that, so it is cautious.
    """
    (own_low, own_high), (base_low, base_high) = _wilson(own, num_own), _wilson(base, num_base)
    gain = own - base
    return gain - math.hypot(own - own_low, base_high - base), gain + math.hypot(own_high - own, base - base_low)
