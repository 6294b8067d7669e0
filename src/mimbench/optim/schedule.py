"""Learning rate against optimiser steps."""

import math


def warmup_cosine(step: int, total: int, warmup: int, floor: float = 0.0) -> float:
    """Linear warm-up from 0, then half a cosine down to `floor`; a fraction of the peak rate (MAE, released code).

    Args:
        step: Optimiser steps done, from 0.
        total: Steps of the whole run.
        warmup: Steps of the warm-up.
        floor: Final fraction of the peak rate.
    """
    if step < warmup:
        return step / warmup
    progress = min(1.0, (step - warmup) / max(1, total - warmup))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
