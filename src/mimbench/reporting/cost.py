"""Costs of pre-training, and the Pareto front of accuracy against cost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

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


COSTS = {
    "flops": Cost("training_flops", "training FLOPs"),
    "hours": Cost("device_hours", "device hours"),
    "time": Cost("train_seconds", "wall time of training (minutes)", 1 / 60),
}


def costs(summaries: Iterable[Summary]) -> dict[str, Cost]:
    """`COSTS`, with the devices of these runs in the title of the hours."""
    return COSTS | {"hours": replace(COSTS["hours"], title=device_hours(summaries))}


def device_hours(summaries: Iterable[Summary]) -> str:
    """The unit of device hours: `CPU hours, 2 cores`, `GPU hours, NVIDIA H100`; `device hours` of both kinds."""
    records = (run.record for summary in summaries for run in summary.runs)
    devices = {str(record.environment["device"]) for record in records if record and record.environment.get("device")}
    kinds = {"CPU" if device.startswith("CPU") else "GPU" for device in devices}
    unit = f"{kinds.pop()} hours" if len(kinds) == 1 else "device hours"
    if len(devices) != 1 or unit == "device hours":
        return unit
    model = devices.pop().removeprefix("CPU").lstrip(", ")
    return f"{unit}, {model}" if model else unit


def pareto(costs: Sequence[float], values: Sequence[float]) -> list[int]:
    """Indices of the Pareto front by ascending cost: no point at the same or a lower cost has an equal or higher value.

    Of points with equal cost and value, the first.
    """
    front: list[int] = []
    for index in sorted(range(len(costs)), key=lambda index: (costs[index], -values[index])):
        if not front or values[index] > values[front[-1]]:
            front.append(index)
    return front
