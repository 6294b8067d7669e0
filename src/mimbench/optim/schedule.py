"""Learning rate against optimiser steps."""

import math


def warmup_cosine(step: int, total: int | float, warmup: int | float, floor: float = 0.0) -> float:
    """Linear warm-up from 0, then half a cosine down to `floor`; a fraction of the peak rate (MAE, released code).

    Args:
        step: Optimiser steps done, from 0.
        total: Steps of the whole run; infinite where nobody knows yet.
        warmup: Steps of the warm-up; a fraction where an epoch's fraction is none of whole steps.
        floor: Final fraction of the peak rate.
    """
    if step < warmup:
        return step / warmup
    progress = min(1.0, (step - warmup) / (total - warmup)) if total > warmup else 1.0
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
