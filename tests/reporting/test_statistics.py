"""Intervals and verdicts agree with the textbook formulas, which are written out here."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mimbench.reporting import statistics
from mimbench.reporting.statistics import BETTER, NOISE, WORSE, Difference, Sample, difference, estimate, holm


def over_seeds(*accuracies: float, num_test: float = 1000.0) -> Sample:
    return Sample(dict(enumerate(accuracies)), float(num_test))


def wilson(accuracy: float, num: int) -> tuple[float, float]:
    z = stats.norm.ppf(0.975)
    center = (accuracy + z**2 / (2 * num)) / (1 + z**2 / num)
    half = z / (1 + z**2 / num) * math.sqrt(accuracy * (1 - accuracy) / num + z**2 / (4 * num**2))
    return center - half, center + half


def test_seeds_give_mean_deviation_and_students_interval():
    values = np.array([0.31, 0.36, 0.34])
    result = estimate(over_seeds(*values.tolist()))
    assert result is not None
    half = stats.t.ppf(0.975, df=2) * values.std(ddof=1) / math.sqrt(3)
    assert (result.mean, result.sd, result.n) == (pytest.approx(values.mean()), pytest.approx(values.std(ddof=1)), 3)
    assert (result.low, result.high) == (pytest.approx(values.mean() - half), pytest.approx(values.mean() + half))
    assert result.source == "Student t over seeds"


def test_one_seed_gives_wilsons_interval_over_the_test_images_and_says_so():
    result = estimate(over_seeds(0.37, num_test=200))
    assert result is not None
    assert (result.low, result.high) == pytest.approx(wilson(0.37, 200))
    assert math.isnan(result.sd)
    assert (result.n, result.source) == (1, "Wilson over test images")


def test_equal_seeds_give_an_interval_over_images():
    result = estimate(over_seeds(0.5, 0.5, 0.5, num_test=100))
    assert result is not None
    assert result.sd == 0
    assert (result.low, result.high) == pytest.approx(wilson(0.5, 100.0))
    gain = difference(over_seeds(0.52, 0.53, num_test=100), over_seeds(0.50, 0.51, num_test=100))
    assert gain is not None
    assert (gain.source, gain.verdict) == ("Newcombe over test images", NOISE)


def test_nothing_measured_has_no_estimate():
    assert estimate(over_seeds()) is None


def test_without_a_count_of_test_images_one_seed_has_no_interval_and_no_verdict():
    result = estimate(over_seeds(0.5, num_test=math.nan))
    assert result is not None
    assert math.isnan(result.low)
    gain = difference(over_seeds(0.9, num_test=math.nan), over_seeds(0.1))
    assert gain is not None
    assert gain.verdict == NOISE


def test_the_difference_is_paired_over_the_seeds_that_both_have():
    own = Sample({0: 0.40, 1: 0.47, 2: 0.43, 7: 0.99}, 1000.0)
    base = Sample({2: 0.30, 1: 0.36, 0: 0.29, 5: 0.01}, 1000.0)
    result = difference(own, base)
    gains = np.array([0.11, 0.11, 0.13])
    half = stats.t.ppf(0.975, df=2) * gains.std(ddof=1) / math.sqrt(3)
    assert result is not None
    assert (result.mean, result.n) == (pytest.approx(gains.mean()), 3)
    assert (result.low, result.high) == (pytest.approx(gains.mean() - half), pytest.approx(gains.mean() + half))
    assert (result.source, result.verdict) == ("paired t over shared seeds", BETTER)


def test_other_seeds_on_both_sides_give_welchs_interval():
    own, base = Sample({0: 0.40, 1: 0.44}, 1000.0), Sample({2: 0.30, 3: 0.31, 4: 0.35}, 1000.0)
    result = difference(own, base)
    a, b = np.array([0.40, 0.44]), np.array([0.30, 0.31, 0.35])
    parts = a.var(ddof=1) / 2, b.var(ddof=1) / 3
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 1 + parts[1] ** 2 / 2)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(parts))
    assert result is not None
    assert (result.low, result.high) == (
        pytest.approx(a.mean() - b.mean() - half),
        pytest.approx(a.mean() - b.mean() + half),
    )
    assert (result.source, result.n) == ("Welch t over seeds", 2)


def test_one_seed_each_gives_newcombes_interval_of_two_proportions():
    # Newcombe 1998, table II, case (a): 56/70 against 48/80, method 10.
    result = difference(over_seeds(56 / 70, num_test=70), over_seeds(48 / 80, num_test=80))
    assert result is not None
    assert (result.low, result.high) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))
    assert (result.source, result.n) == ("Newcombe over test images", 1)


def test_without_a_shared_seed_and_with_one_seed_there_is_no_difference():
    assert difference(Sample({0: 0.5}, 100.0), Sample({1: 0.4, 2: 0.41}, 100.0)) is None


@pytest.mark.parametrize(
    ("own", "verdict"), [((0.50, 0.51, 0.53), BETTER), ((0.10, 0.11, 0.13), WORSE), ((0.27, 0.34, 0.30), NOISE)]
)
def test_the_verdict_follows_the_interval(own: tuple[float, ...], verdict: str):
    result = difference(over_seeds(*own), over_seeds(0.30, 0.30, 0.31))
    assert result is not None
    assert result.verdict == verdict


def test_a_sample_leaves_out_missing_values_and_uses_the_smallest_test_set():
    rows = pd.DataFrame({"seed": [1, 0, 2], "accuracy": [0.5, math.nan, 0.4], "num_test": [100.0, 100.0, 80.0]})
    assert statistics.sample(rows) == Sample({1: 0.5, 2: 0.4}, 80.0)


def test_a_mean_skips_missing_values():
    assert statistics.mean([1.0, None, 3.0, math.nan]) == 2.0
    assert math.isnan(statistics.mean([None]))


def test_holm_steps_down_as_by_hand():
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04; none may be below the previous one.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_the_verdict_uses_the_corrected_p_value_if_there_is_one():
    raw = Difference(0.1, 3, 0.05, 0.15, "", p=0.01)
    assert raw.verdict == BETTER
    assert raw._replace(adjusted=0.2).verdict == NOISE
    assert raw.reversed.verdict == WORSE
    assert (raw.reversed.low, raw.reversed.high) == (-0.15, -0.05)


def with_answers(*correct_images: list[int], num_test: int = 200) -> Sample:
    """One seed per list of correctly classified images."""
    correct = {seed: np.isin(np.arange(num_test), images) for seed, images in enumerate(correct_images)}
    return Sample({seed: float(c.mean()) for seed, c in correct.items()}, float(num_test), correct)


def test_one_seed_with_known_images_is_compared_image_by_image():
    # 20 images more and none fewer is stronger evidence than two proportions that differ by a tenth.
    own, base = with_answers(list(range(100))), with_answers(list(range(80)))
    result, blind = difference(own, base), difference(own._replace(correct={}), base)
    assert result is not None
    assert blind is not None
    assert (result.source, result.mean, result.verdict) == ("bootstrap over test images", pytest.approx(0.1), BETTER)
    assert result.high - result.low < 0.6 * (blind.high - blind.low)
    # The bootstrap's interval of a mean is close to the normal one.
    gains = np.r_[np.ones(20), np.zeros(180)]
    half = 1.96 * gains.std() / math.sqrt(200)
    assert (result.low, result.high) == (pytest.approx(0.1 - half, abs=0.01), pytest.approx(0.1 + half, abs=0.01))
    assert result == difference(own, base)


def test_both_tests_must_reject():
    # Two seeds, each better by one image: significant over seeds, not significant over 200 images.
    own = with_answers([*range(50), 100], [*range(50), 101, 102])
    base = with_answers(list(range(50)), [*range(50), 101])
    shifted = own._replace(accuracies={0: 0.31, 1: 0.3100001})
    result = difference(shifted, base._replace(accuracies={0: 0.25, 1: 0.2500002}))
    assert result is not None
    assert result.source == "paired t over shared seeds"
    assert stats.ttest_rel([0.31, 0.3100001], [0.25, 0.2500002]).pvalue < 0.001
    assert result.verdict == NOISE
    assert result.image_low <= 0.0 <= result.image_high


@pytest.mark.parametrize("other", [[0, 1], []])
def test_other_test_images_or_unknown_ones_are_not_paired(other: list[int]):
    own, base = with_answers([1, 2, 3]), with_answers(other, num_test=100)
    result = difference(own, base if other else base._replace(correct={}))
    assert result is not None
    assert result.source == "Newcombe over test images"


def test_equal_answers_are_noise_and_all_answers_changed_are_not():
    same = difference(with_answers([1, 2, 3]), with_answers([1, 2, 3]))
    assert same is not None
    assert (same.p, same.verdict) == (1.0, NOISE)
    won = difference(with_answers(list(range(200))), with_answers([]))
    assert won is not None
    assert (won.mean, won.verdict) == (1.0, BETTER)
