"""Numbers as a report writes them."""

import math

from mimbench.reporting.statistics import BETTER, NOISE, WORSE, Difference, Estimate

MARKS = {BETTER: "▲", WORSE: "▼", NOISE: "≈"}
NOTHING = "–"
LEGEND = (
    "Accuracy in percent, mean ± standard deviation over n seeds, [95 % interval]. "
    "▲ better than untrained, ▼ worse, ≈ within noise. "
    "† interval over test images only: one seed, or seeds without spread."
)


def accuracy(estimate: Estimate | None) -> str:
    if estimate is None:
        return NOTHING
    spread = f" ± {100 * estimate.sd:.1f}" if estimate.n > 1 else ""
    return f"{100 * estimate.mean:.1f}{spread} (n={estimate.n})"


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
    return "†" if value.source.endswith("test images") else ""
