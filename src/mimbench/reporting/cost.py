"""Costs of pre-training, and the Pareto front of accuracy against cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from mimbench.reporting.summary import Summary


@dataclass(frozen=True)
class Cost:
    """One kind of cost, as the axis of a figure.

    field: Of `Summary`.
    scale: Factor from the unit of the field to the unit of the axis.
    """

    field: str
    title: str
    scale: float = 1.0

    def of(self, summary: Summary) -> float:
        """The cost of a condition; NaN if it is unknown, 0 for an untrained encoder."""
        return self.scale * getattr(summary, self.field)


# A device is a GPU on a GPU machine and the processor elsewhere.
COSTS = {
    "flops": Cost("training_flops", "training FLOPs"),
    "hours": Cost("device_hours", "GPU-hours (device-hours)"),
    "time": Cost("train_seconds", "wall time of training (minutes)", 1 / 60),
}


def pareto(costs: Sequence[float], values: Sequence[float]) -> list[int]:
    """Indices of the Pareto front by ascending cost: no point at the same or a lower cost has an equal or higher value.

    Of points with equal cost and value, the first.
    """
    front: list[int] = []
    for index in sorted(range(len(costs)), key=lambda index: (costs[index], -values[index])):
        if not front or values[index] > values[front[-1]]:
            front.append(index)
    return front
