"""Numbers as text."""

import math

from mimbench.reporting.statistics import BETTER, NOISE, WORSE, Difference, Estimate

MARKS = {BETTER: "▲", WORSE: "▼", NOISE: "≈"}
NOTHING = "–"
DAGGER = "†"
LEGEND = (
    "Accuracy in percent: mean ± standard deviation over n seeds, [95 % interval]; n=2/3: two of three planned runs. "
    "▲ better, ▼ worse, ≈ within noise: at 5 % after Holm's correction over all comparisons of the table. "
    f"{DAGGER} interval over test images only: one seed, or seeds with equal results."
)


def accuracy(estimate: Estimate | None, planned: int = 0) -> str:
    """Mean, standard deviation and number of seeds: `39.5 ± 0.5 (n=3)`; `(n=2/3)` if more runs are planned."""
    return NOTHING if estimate is None else f"{mean(estimate)} {deviation(estimate, planned)}"


def mean(estimate: Estimate) -> str:
    """`39.5`."""
    return f"{100 * estimate.mean:.1f}"


def deviation(estimate: Estimate, planned: int = 0) -> str:
    """Standard deviation and number of seeds, `± 0.5 (n=3)`; with one seed `(n=1)`."""
    sd = f"± {100 * estimate.sd:.1f} " if estimate.n > 1 else ""
    of_planned = f"/{planned}" if planned > estimate.n else ""
    return f"{sd}(n={estimate.n}{of_planned})"


def accuracy_interval(estimate: Estimate | None) -> str:
    """`[38.3, 40.7]`, with † if it is over test images only; empty if it is unknown."""
    if estimate is None or math.isnan(estimate.low):
        return ""
    return f"[{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]{_dagger(estimate)}"


def gain(difference: Difference | None) -> str:
    """Percentage points and verdict, `+9.9 ▲`."""
    return NOTHING if difference is None else f"{points(difference)} {MARKS[difference.verdict]}"


def points(difference: Difference) -> str:
    """Percentage points, `+9.9`."""
    return _signed(difference.mean)


def gain_interval(difference: Difference | None) -> str:
    """`[+7.1, +12.8]`, with † if it is over test images only; empty if it is unknown."""
    if difference is None or math.isnan(difference.low):
        return ""
    return f"[{_signed(difference.low)}, {_signed(difference.high)}]{_dagger(difference)}"


def p_value(difference: Difference) -> str:
    """`p = 0.012 after Holm`, without the last words before the correction."""
    corrected = not math.isnan(difference.adjusted)
    p = difference.adjusted if corrected else difference.p
    text = "p unknown" if math.isnan(p) else "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    return f"{text} after Holm" if corrected else text


def hours(value: float) -> str:
    """Three significant digits."""
    return NOTHING if math.isnan(value) else f"{value:.3g}"


def flops(value: float) -> str:
    """`2e13`."""
    return NOTHING if math.isnan(value) else "0" if value == 0 else f"{value:.2g}".replace("e+", "e")


def rate(value: float) -> str:
    """Whole numbers from 10 on."""
    return NOTHING if math.isnan(value) else f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def minutes(seconds: float) -> str:
    """One decimal."""
    return NOTHING if math.isnan(seconds) else f"{seconds / 60:.1f}"


def _signed(fraction: float) -> str:
    # Rounded first, so that -0.04 % becomes +0.0, not -0.0.
    return f"{round(100 * fraction, 1) + 0.0:+.1f}"


def _dagger(value: Estimate | Difference) -> str:
    return DAGGER if value.over_images else ""
