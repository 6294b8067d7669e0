"""Numbers as a report writes them."""

import math

from mimbench.reporting.statistics import BETTER, NOISE, WORSE, Difference, Estimate

MARKS = {BETTER: "▲", WORSE: "▼", NOISE: "≈"}
NOTHING = "–"
DAGGER = "†"
LEGEND = (
    "Accuracy in percent, mean ± standard deviation over n seeds, [95 % interval]; n=2/3: two of three planned runs. "
    "▲ better, ▼ worse, ≈ within noise: at 5 % after Holm's correction over the whole table. "
    f"{DAGGER} interval over test images only: one seed, or seeds without spread."
)


def accuracy(estimate: Estimate | None, planned: int = 0) -> str:
    """Mean, deviation and n; n names the planned runs where they are more."""
    if estimate is None:
        return NOTHING
    spread = f" ± {100 * estimate.sd:.1f}" if estimate.n > 1 else ""
    short = f"/{planned}" if planned > estimate.n else ""
    return f"{100 * estimate.mean:.1f}{spread} (n={estimate.n}{short})"


def accuracy_interval(estimate: Estimate | None) -> str:
    if estimate is None or math.isnan(estimate.low):
        return ""
    return f"[{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]{_dagger(estimate)}"


def gain(difference: Difference | None) -> str:
    if difference is None:
        return NOTHING
    return f"{_signed(difference.mean)} {MARKS[difference.verdict]}"


def gain_interval(difference: Difference | None) -> str:
    if difference is None or math.isnan(difference.low):
        return ""
    return f"[{_signed(difference.low)}, {_signed(difference.high)}]{_dagger(difference)}"


def p_value(difference: Difference) -> str:
    """After correction where there was one."""
    corrected = not math.isnan(difference.adjusted)
    p = difference.adjusted if corrected else difference.p
    text = "p unknown" if math.isnan(p) else "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    return f"{text} after Holm" if corrected else text


def hours(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value:.3g}"


def flops(value: float) -> str:
    return NOTHING if math.isnan(value) else "0" if value == 0 else f"{value:.2g}".replace("e+", "e")


def rate(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def minutes(seconds: float) -> str:
    return NOTHING if math.isnan(seconds) else f"{seconds / 60:.1f}"


def _signed(fraction: float) -> str:
    # Rounded first: -0.04 is written +0.0, not -0.0.
    return f"{round(100 * fraction, 1) + 0.0:+.1f}"


def _dagger(value: Estimate | Difference) -> str:
    return DAGGER if value.source.endswith("test images") else ""
