"""Intervals and tests over test images, for encoders that are already trained."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

CONFIDENCE = 0.95
_RESAMPLES = 2000
_BATCH = 2**21  # resampled images in memory at a time


class Interval(NamedTuple):
    """A 95 % interval of a difference over test images, and the two-sided p-value of no difference."""

    low: float
    high: float
    p: float


UNKNOWN = Interval(math.nan, math.nan, math.nan)


def paired(own: Float[np.ndarray, " n"], base: Float[np.ndarray, " n"], *, with_interval: bool = True) -> Interval:
    """Interval (percentile bootstrap) and p-value (paired t-test) of the mean difference on the same images.

    The value of an image is the share of seeds that classified it correctly. The same input gives the same interval.
    Without `with_interval`, which takes most of the time, low and high are NaN.
    """
    gains = own - base
    changed = int(np.count_nonzero(gains))
    if np.ptp(gains) < 1e-12:
        # Without variance there is nothing to resample; if all images differ, the sign test remains.
        p = stats.binomtest(changed, changed).pvalue if changed else 1.0
        return Interval(float(gains[0]), float(gains[0]), float(p))
    test: Any = stats.ttest_1samp(gains, 0.0)
    if not with_interval:
        return Interval(math.nan, math.nan, float(test.pvalue))
    resampled = stats.bootstrap(
        (gains,),
        np.mean,
        n_resamples=_RESAMPLES,
        batch=max(1, _BATCH // len(gains)),
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    low, high = resampled.confidence_interval
    return Interval(float(low), float(high), float(test.pvalue))


def proportion(accuracy: float, num_test: float) -> tuple[float, float]:
    """Wilson's interval of one accuracy; NaN if the number of test images is unknown."""
    if not num_test > 0:
        return math.nan, math.nan
    interval = stats.binomtest(round(accuracy * num_test), int(num_test)).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def unpaired(own: float, num_own: float, base: float, num_base: float) -> Interval:
    """Interval (Newcombe 1998, method 10) and p-value (chi-squared test) of the difference of two accuracies.

    For results without single images. scipy has no interval for the difference of two proportions; this one combines
    two of Wilson's intervals. It treats the accuracies as independent. Encoders tested on the same images agree more
    often than independent ones, so the interval is conservative.
    """
    (own_low, own_high), (base_low, base_high) = proportion(own, num_own), proportion(base, num_base)
    gain = own - base
    low = gain - math.hypot(own - own_low, base_high - base)
    high = gain + math.hypot(own_high - own, base - base_low)
    return Interval(low, high, _chi_squared(own, num_own, base, num_base))


def _chi_squared(own: float, num_own: float, base: float, num_base: float) -> float:
    if not (num_own > 0 and num_base > 0):
        return math.nan
    correct = np.array([round(own * num_own), round(base * num_base)])
    table = np.stack([correct, np.array([int(num_own), int(num_base)]) - correct])
    if not table.sum(axis=1).all():
        return 1.0  # both classified all images correctly, or none
    test: Any = stats.chi2_contingency(table, correction=False)
    return float(test.pvalue)
