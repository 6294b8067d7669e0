"""What accuracy costs, and which conditions nobody beats at their price."""

from collections.abc import Sequence
from dataclasses import dataclass

from mimbench.reporting.summary import Summary


@dataclass(frozen=True)
class Cost:
    """A price of a pre-training, as an axis.

    field: Of `Summary`.
    scale: What the field is multiplied with to get the axis's unit.
    """

    field: str
    title: str
    scale: float = 1.0

    def of(self, summary: Summary) -> float:
        """NaN where it is unknown, 0 for what was not trained."""
        return self.scale * getattr(summary, self.field)


# A device is a GPU on a GPU machine and the processor elsewhere.
COSTS = {
    "flops": Cost("training_flops", "training FLOPs"),
    "hours": Cost("device_hours", "GPU-hours (device-hours)"),
    "time": Cost("train_seconds", "wall time of training (minutes)", 1 / 60),
}


def pareto(costs: Sequence[float], values: Sequence[float]) -> list[int]:
    """Indices of the points that no cheaper or equally cheap one reaches, by ascending cost."""
    front: list[int] = []
    for place in sorted(range(len(costs)), key=lambda place: (costs[place], -values[place])):
        if not front or values[place] > values[front[-1]]:
            front.append(place)
    return front
