"""Learning-rate schedule by optimizer step."""

import math
from bisect import bisect_right
from collections.abc import Sequence


def warmup_cosine(step: int, total: int | float, warmup: int | float, floor: float = 0.0, start: float = 0.0) -> float:
    """Fraction of the peak rate: linear warm-up, then half a cosine down to `floor` (MAE, released code).

    Args:
        step: Completed optimizer steps.
        total: Steps of the whole run; infinite while it is not known.
        warmup: Steps of the warm-up; may be fractional, as the number of warm-up epochs may be.
        floor: Final fraction of the peak rate.
        start: Fraction of the peak rate at which the warm-up begins.
    """
    if step < warmup:
        return start + (1 - start) * step / warmup
    return cosine(step - warmup, total - warmup, 1.0, floor)


def warmup_steps(step: int, milestones: Sequence[float], warmup: int | float, start: float = 0.0) -> float:
    """Fraction of the peak rate: linear warm-up, then a tenth of the rate from every milestone on (SimMIM).

    Args:
        milestones: In optimizer steps, ascending.
    """
    if step < warmup:
        return start + (1 - start) * step / warmup
    return 0.1 ** bisect_right(milestones, step)


def cosine(step: int | float, total: int | float, first: float, last: float) -> float:
    """Half a cosine from `first` to `last` over `total` steps; `first` while the total is not known (infinite)."""
    progress = min(1.0, step / total) if total > 0 else 1.0
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * progress))
