"""Results that are logged to trackers."""

from collections.abc import Mapping, Sequence
from typing import Any

from mimbench.experiments.trackers import log_results


class Tracker:
    """A tracker that stores the values."""

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}
        self.summary: dict[str, float] = {}
        self.curves: list[str] = []

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        self.metrics |= metrics

    def log_summary(self, values: Mapping[str, float]) -> None:
        self.summary |= values

    def log_curves(self, name: str, depths: Sequence[int], curves: Mapping[str, Sequence[float]]) -> None:
        self.curves.append(name)


def test_a_name_with_dots_stays_one_part_of_its_key() -> None:
    tracker = Tracker()
    result: dict[str, Any] = {"accuracy": 0.5, "deviations": {"lrs": 0.1}}
    log_results([tracker], {"linear-v1+lrs=0.1": result}, cost={"parameters": {"encoder": 3}})
    expected = {"linear-v1+lrs=0.1/accuracy": 0.5, "linear-v1+lrs=0.1/deviations/lrs": 0.1}
    assert tracker.metrics == expected
    assert tracker.summary == expected | {"cost/parameters/encoder": 3.0}
