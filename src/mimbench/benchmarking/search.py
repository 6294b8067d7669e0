"""Search for the batch size with the highest training rate on a GPU."""

from collections.abc import Callable

import torch


def fastest_batch(rate: Callable[[int], float], start: int = 32, gain: float = 1.02, limit: int = 4096) -> int:
    """Doubles the batch size as long as the rate grows by a factor of `gain` or more and memory suffices.

    Args:
        rate: Images per second at a batch size; raises torch.OutOfMemoryError if it does not fit.
        start: First batch size.
        limit: Largest batch size.

    Raises:
        torch.OutOfMemoryError: A batch of `start` images does not fit.

    Example:
        >>> fastest_batch(lambda batch: min(batch, 200))
        256
    """
    best, best_rate = start, rate(start)
    while best < limit:
        try:
            doubled_rate = rate(2 * best)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return best
        if doubled_rate < gain * best_rate:
            return best
        best, best_rate = 2 * best, doubled_rate
    return best
