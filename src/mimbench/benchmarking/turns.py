"""Measurements in turns, so that a disturbance meets all candidates alike."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

Value = TypeVar("Value")


def take_turns(candidates: Mapping[str, Callable[[], Value]], rounds: int, warm_up: int = 1) -> dict[str, list[Value]]:
    """Calls every candidate once per round and keeps what it returns, but for the first rounds.

    Every other round goes backwards, so that nobody always follows the same neighbour.

    Example:
        >>> take_turns({"one": lambda: 1, "two": lambda: 2}, rounds=2)
        {'one': [1, 1], 'two': [2, 2]}
    """
    found: dict[str, list[Value]] = {name: [] for name in candidates}
    for turn in range(warm_up + rounds):
        for name in list(candidates)[:: -1 if turn % 2 else 1]:
            value = candidates[name]()
            if turn >= warm_up:
                found[name].append(value)
    return found


def median_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median over rounds of two candidates' quotient; steadier than the quotient of their medians.

    Example:
        >>> median_ratio([2.0, 20.0, 2.0], [1.0, 10.0, 2.0])
        2.0
    """
    return statistics.median(a / b for a, b in zip(over, under, strict=True))
