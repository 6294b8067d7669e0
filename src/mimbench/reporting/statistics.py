"""What seeds and test images allow to be said: means, intervals, differences."""

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool
from scipy import stats

from mimbench.reporting import images
from mimbench.reporting.images import CONFIDENCE

BETTER, WORSE, NOISE = "better", "worse", "within noise"

OVER_SEEDS = "Student t over seeds"
PAIRED = "paired t over shared seeds"
UNPAIRED = "Welch t over seeds"
OVER_IMAGES = "Wilson over test images"
BOOTSTRAP = "bootstrap over test images"
TWO_PROPORTIONS = "Newcombe over test images"

Correct = Mapping[int, Bool[np.ndarray, " n"]]


class Estimate(NamedTuple):
    """A mean accuracy over n seeds with its 95 % interval; fractions. `source` says what the interval covers."""

    mean: float
    sd: float
    n: int
    low: float
    high: float
    source: str


class Difference(NamedTuple):
    """A difference of two mean accuracies over n seeds with its 95 % interval; fractions.

    p: Of no difference, two-sided: the larger one where both seeds and images could be tested.
    image_low, image_high: 95 % interval over test images given these weights; NaN unless single images are known.
    adjusted: p after Holm's correction over all comparisons of a table; NaN before it.
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
        """`better` or `worse` at 5 %, by the adjusted p where there is one; what cannot be tested is noise."""
        p = self.p if math.isnan(self.adjusted) else self.adjusted
        return NOISE if not p < 1 - CONFIDENCE else BETTER if self.mean > 0 else WORSE

    @property
    def over_images(self) -> bool:
        """Whether nothing is known about other seeds."""
        return self.source in (BOOTSTRAP, TWO_PROPORTIONS)

    @property
    def reversed(self) -> "Difference":
        """The same comparison seen from the other side."""
        return self._replace(
            mean=-self.mean, low=-self.high, high=-self.low, image_low=-self.image_high, image_high=-self.image_low
        )


class Sample(NamedTuple):
    """Accuracies of one condition under one protocol by seed, each over num_test images.

    correct: Which test images were right, for the seeds that kept it.
    """

    accuracies: dict[int, float]
    num_test: float
    correct: Correct = MappingProxyType({})


def sample(rows: pd.DataFrame) -> Sample:
    """From the rows of one condition and protocol in `collect.frame`; with unequal test sets the smallest counts."""
    pairs = zip(rows["seed"].tolist(), rows["accuracy"].tolist(), strict=True)
    return Sample({seed: accuracy for seed, accuracy in pairs if math.isfinite(accuracy)}, min(rows["num_test"]))


def estimate(values: Sample) -> Estimate | None:
    """Student's t over seeds; Wilson's interval over test images where seeds show no spread, as with one seed.

    No interval leaves [0, 1], where accuracies are.
    """
    accuracies = list(values.accuracies.values())
    if not accuracies:
        return None
    average = mean(accuracies)
    deviation = float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else math.nan
    if _spread(accuracies):
        interval = stats.ttest_1samp(accuracies, 0.0).confidence_interval(CONFIDENCE)
        low, high = max(float(interval.low), 0.0), min(float(interval.high), 1.0)
        return Estimate(average, deviation, len(accuracies), low, high, OVER_SEEDS)
    low, high = images.proportion(average, values.num_test)
    return Estimate(average, deviation, len(accuracies), low, high, OVER_IMAGES)


def difference(values: Sample, baseline: Sample) -> Difference | None:
    """How much better `values` are: paired over shared seeds, else Welch's t; over test images where one seed is left.

    Where single images are known, a bootstrap over them stands beside the seeds, and both must tell the two apart.
    None where nothing can be compared: no seed shared and fewer than two on either side.
    """
    shared = sorted(values.accuracies.keys() & baseline.accuracies.keys())
    own, base = [values.accuracies[seed] for seed in shared], [baseline.accuracies[seed] for seed in shared]
    gains = [ours - theirs for ours, theirs in zip(own, base, strict=True)]
    if _spread(gains):
        test = stats.ttest_rel(own, base)
        by_image = _paired_images(values, baseline, shared)
        return _over_seeds(mean(gains), len(gains), test, PAIRED, by_image)
    everything, all_base = list(values.accuracies.values()), list(baseline.accuracies.values())
    if len(gains) < 2 and _spread(everything) and _spread(all_base):
        test = stats.ttest_ind(everything, all_base, equal_var=False)
        num = min(len(everything), len(all_base))
        return _over_seeds(mean(everything) - mean(all_base), num, test, UNPAIRED, images.UNKNOWN)
    if not gains:
        return None
    low, high, p = by_image = _paired_images(values, baseline, shared)
    if by_image is not images.UNKNOWN:
        return Difference(mean(gains), len(gains), low, high, BOOTSTRAP, p, low, high)
    low, high, p = images.unpaired(mean(own), values.num_test, mean(base), baseline.num_test)
    return Difference(mean(gains), len(gains), low, high, TWO_PROPORTIONS, p)


def holm(values: Sequence[float], further: int = 0) -> list[float]:
    """p-values corrected for their number (Holm 1979): no false finding among all of them, 95 times in 100.

    Args:
        further: Comparisons that count although their p-values are unknown. They are taken to be the largest, by which
            no other is corrected too little.
    """
    p = np.asarray(values, dtype=float)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * (further + np.arange(len(p), 0, -1)))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted.tolist()


def mean(values: Iterable[float | None]) -> float:
    """Of the numbers that are there; NaN without any."""
    numbers = [value for value in values if value is not None and math.isfinite(value)]
    return float(np.mean(numbers)) if numbers else math.nan


def _spread(values: Sequence[float]) -> bool:
    """Whether a variance over seeds exists: accuracies are counts over images, so equal ones happen by chance."""
    return len(values) >= 2 and max(values) - min(values) > 1e-9


def _over_seeds(gain: float, num: int, test: Any, source: str, by_image: images.Interval) -> Difference:
    interval = test.confidence_interval(CONFIDENCE)
    p = max(float(test.pvalue), 0.0 if math.isnan(by_image.p) else by_image.p)
    low, high = float(interval.low), float(interval.high)
    return Difference(gain, num, low, high, source, p, by_image.low, by_image.high)


def _paired_images(values: Sample, baseline: Sample, seeds: list[int]) -> images.Interval:
    """Over the test images that all these seeds of both sides saw; unknown unless every one kept them."""
    if not all(seed in side.correct for side in (values, baseline) for seed in seeds):
        return images.UNKNOWN
    own, base = ([side.correct[seed] for seed in seeds] for side in (values, baseline))
    lengths = {len(correct) for correct in (*own, *base)}
    if len(lengths) != 1 or 0 in lengths:
        return images.UNKNOWN
    return images.paired(np.mean(np.stack(own), axis=0), np.mean(np.stack(base), axis=0))
