"""Interleaved measurements: other load on the machine affects all candidates equally."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

Value = TypeVar("Value")


def measure_interleaved(
    candidates: Mapping[str, Callable[[], Value]], rounds: int, warm_up: int = 1
) -> dict[str, list[Value]]:
    """Calls every candidate once per round; returns their results by name, without those of the warm-up rounds.

    Every other round is in reverse order, so that no candidate always follows the same one.

    Example:
        >>> measure_interleaved({"one": lambda: 1, "two": lambda: 2}, rounds=2)
        {'one': [1, 1], 'two': [2, 2]}
    """
    results: dict[str, list[Value]] = {name: [] for name in candidates}
    for number in range(warm_up + rounds):
        for name in list(candidates)[:: -1 if number % 2 else 1]:
            value = candidates[name]()
            if number >= warm_up:
                results[name].append(value)
    return results


def median_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Median over rounds of the ratio of two candidates; more stable than the ratio of their medians.

    Example:
        >>> median_ratio([2.0, 20.0, 2.0], [1.0, 10.0, 2.0])
        2.0
    """
    return statistics.median(a / b for a, b in zip(over, under, strict=True))
