"""Learning-rate schedule by optimizer step."""

import math


def warmup_cosine(step: int, total: int | float, warmup: int | float, floor: float = 0.0) -> float:
    """Fraction of the peak rate: linear warm-up from 0, then half a cosine down to `floor` (MAE, released code).

    Args:
        step: Completed optimizer steps.
        total: Steps of the whole run; infinite while it is not known.
        warmup: Steps of the warm-up; may be fractional, as the number of warm-up epochs may be.
        floor: Final fraction of the peak rate.
    """
    if step < warmup:
        return step / warmup
    progress = min(1.0, (step - warmup) / (total - warmup)) if total > warmup else 1.0
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
