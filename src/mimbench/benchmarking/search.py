"""The batch that trains fastest on a GPU."""

from collections.abc import Callable

import torch


def fastest_batch(rate: Callable[[int], float], start: int = 32, gain: float = 1.02, limit: int = 4096) -> int:
    """Doubles the batch as long as images per second grow by `gain` and memory lasts.

    Args:
        rate: Images per second at a batch; raises torch.OutOfMemoryError.

    Raises:
        torch.OutOfMemoryError: Not even `start` images fit.

    Example:
        >>> fastest_batch(lambda batch: min(batch, 200))
        256
    """
    best, best_rate = start, rate(start)
    while best < limit:
        try:
            found = rate(2 * best)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return best
        if found < gain * best_rate:
            return best
        best, best_rate = 2 * best, found
    return best
