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
        gpu_hours: GPU-hours of pre-training, without evaluation; 0 if the pace is that of a CPU.
        cpu_hours: Hours of pre-training on the CPU whose pace is known; otherwise 0.
        data: What is assumed about the number of training images; empty if it is known.
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
    cpu_hours: float = 0.0
    data: str = ""

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

    @property
    def cpu_hours_left(self) -> float:
        return 0.0 if self.cost is None or self.state == State.REFUSED else self.cost.cpu_hours * (1 - self.done)


@dataclass(frozen=True)
class Totals:
    """Sums over the runs that can work.

    Attributes:
        states: Number of runs by state, including refused ones.
        unknown: Number of runs whose number of training images, and so hours, are unknown.
    """

    states: Mapping[str, int]
    training_flops: float
    disk: int
    gpu_hours: float
    gpu_hours_left: float
    cpu_hours: float
    cpu_hours_left: float
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
        cpu_hours=sum(cost.cpu_hours for cost in costs),
        cpu_hours_left=sum(run.cpu_hours_left for run in listed),
        unknown=sum(cost.gpu_hours is None for cost in costs),
    )
