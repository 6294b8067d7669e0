"""What the runs of a sweep will cost, before any of them is started."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class PlannedCost:
    """One run's cost; None where only data or training could tell.

    Attributes:
        parameters: Of encoder, decoders and targets.
        tokens: Per image, in the encoder and in all decoders together.
        flops: Forward operations per image of encoder, decoders and targets.
        training_flops_per_image: Forward and backward.
        images: Seen in training.
        disk: Bytes of the checkpoint and the exported encoder.
        images_per_second: On one device.
        pace: How that is known.
        gpu_hours: Of the whole pre-training; evaluation is not in it.
    """

    parameters: Mapping[str, int] = field(default_factory=dict)
    tokens: Mapping[str, int] = field(default_factory=dict)
    flops: Mapping[str, int] = field(default_factory=dict)
    training_flops_per_image: int = 0
    steps: int | None = 0
    images: int | None = 0
    disk: int = 0
    images_per_second: float | None = None
    pace: str = ""
    gpu_hours: float | None = 0.0

    @property
    def training_flops(self) -> float | None:
        return None if self.images is None else float(self.training_flops_per_image) * self.images


@dataclass(frozen=True)
class PlannedCell:
    """One run of a plan.

    Attributes:
        state: finished, running, queued, interrupted, failed, lost, new or refused.
        reason: Why it is refused, or how it ended.
        done: Share of its pre-training that need not be done again.
    """

    identity: str
    name: str
    axes: Mapping[str, Any]
    overrides: Sequence[str]
    state: str
    reason: str = ""
    done: float = 0.0
    cost: PlannedCost | None = None

    @property
    def gpu_hours_left(self) -> float | None:
        if self.cost is None or self.state == "refused":
            return 0.0
        return None if self.cost.gpu_hours is None else self.cost.gpu_hours * (1 - self.done)


@dataclass(frozen=True)
class Totals:
    """Sums over the cells that can exist; `unknown` of them have no known GPU-hours."""

    states: Mapping[str, int]
    training_flops: float
    disk: int
    gpu_hours: float
    gpu_hours_left: float
    unknown: int


def totals(cells: Iterable[PlannedCell]) -> Totals:
    """Adds up a plan."""
    listed = list(cells)
    states: dict[str, int] = {}
    for cell in listed:
        states[cell.state] = states.get(cell.state, 0) + 1
    costs = [cell.cost for cell in listed if cell.cost is not None]
    return Totals(
        states=states,
        training_flops=sum(cost.training_flops or 0.0 for cost in costs),
        disk=sum(cost.disk for cost in costs),
        gpu_hours=sum(cost.gpu_hours or 0.0 for cost in costs),
        gpu_hours_left=sum(cell.gpu_hours_left or 0.0 for cell in listed),
        unknown=sum(cost.gpu_hours is None for cost in costs),
    )
