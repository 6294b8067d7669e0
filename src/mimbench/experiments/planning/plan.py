"""Estimated costs of the runs of a sweep."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mimbench.runs.state import State


@dataclass(frozen=True)
class EstimatedCost:
    """Estimated cost of one run; None for values that depend on the data or on training.

    Attributes:
        parameters: Parameters of encoder, decoders and targets.
        tokens: Tokens per image in the encoder and in all decoders together.
        flops: Forward FLOPs per image of encoder, decoders and targets.
        training_flops_per_image: Forward and backward FLOPs.
        images: Images seen in training, with repetitions.
        disk: Bytes of the checkpoint and the exported encoder.
        images_per_second: On one device.
        pace: How `images_per_second` is known.
        gpu_hours: GPU-hours of pre-training, without evaluation.
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
class EstimatedRun:
    """One run of a plan.

    Attributes:
        reason: Why it is refused, or how it ended.
        done: Share of pre-training that is already done.
    """

    identity: str
    name: str
    axes: Mapping[str, Any]
    overrides: Sequence[str]
    state: State
    reason: str = ""
    done: float = 0.0
    cost: EstimatedCost | None = None

    @property
    def gpu_hours_left(self) -> float | None:
        if self.cost is None or self.state == State.REFUSED:
            return 0.0
        return None if self.cost.gpu_hours is None else self.cost.gpu_hours * (1 - self.done)


@dataclass(frozen=True)
class Totals:
    """Sums over the runs that can work.

    Attributes:
        states: Number of runs by state, including refused ones.
        unknown: Number of runs whose GPU-hours are unknown.
    """

    states: Mapping[str, int]
    training_flops: float
    disk: int
    gpu_hours: float
    gpu_hours_left: float
    unknown: int


def totals(runs: Iterable[EstimatedRun]) -> Totals:
    """The sums of a plan."""
    listed = list(runs)
    states: dict[str, int] = {}
    for run in listed:
        states[run.state] = states.get(run.state, 0) + 1
    costs = [run.cost for run in listed if run.cost is not None]
    return Totals(
        states=states,
        training_flops=sum(cost.training_flops or 0.0 for cost in costs),
        disk=sum(cost.disk for cost in costs),
        gpu_hours=sum(cost.gpu_hours or 0.0 for cost in costs),
        gpu_hours_left=sum(run.gpu_hours_left or 0.0 for run in listed),
        unknown=sum(cost.gpu_hours is None for cost in costs),
    )
