"""Means, intervals and differences of accuracies over seeds and test images."""

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool
from scipy import stats

from mimbench.reporting import image_intervals
from mimbench.reporting.image_intervals import CONFIDENCE

BETTER, WORSE, NOISE = "better", "worse", "within noise"

OVER_SEEDS = "Student t over seeds"
PAIRED = "paired t over shared seeds"
UNPAIRED = "Welch t over seeds"
OVER_IMAGES = "Wilson over test images"
BOOTSTRAP = "bootstrap over test images"
TWO_PROPORTIONS = "Newcombe over test images"
_IMAGE_SOURCES = (OVER_IMAGES, BOOTSTRAP, TWO_PROPORTIONS)

Correct = Mapping[int, Bool[np.ndarray, " n"]]


class Estimate(NamedTuple):
    """A mean accuracy over n seeds with its 95 % interval; fractions. `source` names the kind of interval."""

    mean: float
    sd: float
    n: int
    low: float
    high: float
    source: str

    @property
    def over_images(self) -> bool:
        """Whether the interval is over test images only and gives no information about other seeds."""
        return self.source in _IMAGE_SOURCES


class Difference(NamedTuple):
    """A difference of two mean accuracies over n seeds with its 95 % interval; fractions.

    p: Two-sided p-value of no difference; the larger one if both seeds and images could be tested.
    image_low, image_high: 95 % interval over test images for these weights; NaN unless single images are known.
    adjusted: p after Holm's correction over all comparisons of a table; NaN before the correction.
    """

    mean: float
    n: int
    low: float
    high: float
    source: str
    p: float = math.nan
    image_low: float = math.nan
    image_high: float = math.nan
    adjusted: float = math.nan

    @property
    def verdict(self) -> str:
        """`better` or `worse` at 5 %, by the adjusted p if there is one; without a p-value `within noise`."""
        p = self.p if math.isnan(self.adjusted) else self.adjusted
        return NOISE if not p < 1 - CONFIDENCE else BETTER if self.mean > 0 else WORSE

    @property
    def is_tie(self) -> bool:
        """Whether it is 0.0 points in the digits that reports show, and not significant."""
        return round(100 * abs(self.mean), 1) == 0 and self.verdict == NOISE

    @property
    def over_images(self) -> bool:
        """Whether the test is over test images only and gives no information about other seeds."""
        return self.source in _IMAGE_SOURCES

    @property
    def reversed(self) -> "Difference":
        """The same comparison with both sides exchanged."""
        return self._replace(
            mean=-self.mean, low=-self.high, high=-self.low, image_low=-self.image_high, image_high=-self.image_low
        )


class Sample(NamedTuple):
    """Accuracies of one condition under one protocol by seed, each over num_test images.

    correct: Which test images were classified correctly, for the seeds that stored it.
    """

    accuracies: dict[int, float]
    num_test: float
    correct: Correct = MappingProxyType({})


def sample(rows: pd.DataFrame) -> Sample:
    """The sample of the rows of one condition and protocol in `collect.frame`.

    `num_test` is the size of the smallest test set.
    """
    pairs = zip(rows["seed"].tolist(), rows["accuracy"].tolist(), strict=True)
    return Sample({seed: accuracy for seed, accuracy in pairs if math.isfinite(accuracy)}, min(rows["num_test"]))


def estimate(values: Sample) -> Estimate | None:
    """Mean and interval: Student's t over seeds; Wilson over test images if seeds do not vary, as with one seed.

    Intervals are clipped to [0, 1]. None without any accuracy.
    """
    accuracies = list(values.accuracies.values())
    if not accuracies:
        return None
    average = mean(accuracies)
    deviation = float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else math.nan
    if _varies(accuracies):
        interval = stats.ttest_1samp(accuracies, 0.0).confidence_interval(CONFIDENCE)
        low, high = max(float(interval.low), 0.0), min(float(interval.high), 1.0)
        return Estimate(average, deviation, len(accuracies), low, high, OVER_SEEDS)
    low, high = image_intervals.proportion(average, values.num_test)
    return Estimate(average, deviation, len(accuracies), low, high, OVER_IMAGES)


def difference(values: Sample, baseline: Sample, *, by_image_interval: bool = True) -> Difference | None:
    """Mean difference of `values` to `baseline`, with interval and p-value.

    Paired t over shared seeds; with fewer than two of them, Welch's t over all seeds of both sides. Without variance
    over seeds, as with one seed, over test images: a bootstrap if single images are known, else Newcombe's interval.
    With a paired t and known single images, `p` is the larger one of both tests.
    None if no seed is shared and Welch's t is not possible.

    Args:
        by_image_interval: Whether to compute bootstrap intervals, which take most of the time; p does not need them.
    """
    shared = sorted(values.accuracies.keys() & baseline.accuracies.keys())
    own, base = [values.accuracies[seed] for seed in shared], [baseline.accuracies[seed] for seed in shared]
    gains = [ours - theirs for ours, theirs in zip(own, base, strict=True)]
    if _varies(gains):
        test = stats.ttest_rel(own, base)
        by_image = _paired_images(values, baseline, shared, by_image_interval)
        return _over_seeds(mean(gains), len(gains), test, PAIRED, by_image)
    all_own, all_base = list(values.accuracies.values()), list(baseline.accuracies.values())
    if len(gains) < 2 and _varies(all_own) and _varies(all_base):
        test = stats.ttest_ind(all_own, all_base, equal_var=False)
        num = min(len(all_own), len(all_base))
        return _over_seeds(mean(all_own) - mean(all_base), num, test, UNPAIRED, image_intervals.UNKNOWN)
    if not gains:
        return None
    low, high, p = by_image = _paired_images(values, baseline, shared, by_image_interval)
    if by_image is not image_intervals.UNKNOWN:
        return Difference(mean(gains), len(gains), low, high, BOOTSTRAP, p, low, high)
    low, high, p = image_intervals.unpaired(mean(own), values.num_test, mean(base), baseline.num_test)
    return Difference(mean(gains), len(gains), low, high, TWO_PROPORTIONS, p)


def holm(values: Sequence[float], further: int = 0) -> list[float]:
    """p-values corrected for their number (Holm 1979).

    With a threshold of 5 % the probability of one or more false positives among all comparisons is at most 5 %.

    Args:
        further: Number of comparisons that count although their p-values are unknown. They are treated as the largest
            ones, which corrects no other p-value too little.
    """
    p = np.asarray(values, dtype=float)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * (further + np.arange(len(p), 0, -1)))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted.tolist()


def mean(values: Iterable[float | None]) -> float:
    """Mean of the finite numbers; NaN if there are none."""
    numbers = [value for value in values if value is not None and math.isfinite(value)]
    return float(np.mean(numbers)) if numbers else math.nan


def _varies(values: Sequence[float]) -> bool:
    """Whether a variance over seeds exists. Accuracies are counts over images, so they can be equal by chance."""
    return len(values) >= 2 and max(values) - min(values) > 1e-9


def _over_seeds(gain: float, num: int, test: Any, source: str, by_image: image_intervals.Interval) -> Difference:
    interval = test.confidence_interval(CONFIDENCE)
    p = max(float(test.pvalue), 0.0 if math.isnan(by_image.p) else by_image.p)
    low, high = float(interval.low), float(interval.high)
    return Difference(gain, num, low, high, source, p, by_image.low, by_image.high)


def _paired_images(values: Sample, baseline: Sample, seeds: list[int], with_interval: bool) -> image_intervals.Interval:
    """Over test images; unknown unless every one of these seeds stored its answers to the same number of images."""
    if not all(seed in side.correct for side in (values, baseline) for seed in seeds):
        return image_intervals.UNKNOWN
    own, base = ([side.correct[seed] for seed in seeds] for side in (values, baseline))
    lengths = {len(correct) for correct in (*own, *base)}
    if len(lengths) != 1 or 0 in lengths:
        return image_intervals.UNKNOWN
    means = (np.mean(np.stack(side), axis=0) for side in (own, base))
    return image_intervals.paired(*means, with_interval=with_interval)
