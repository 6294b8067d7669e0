"""How long a run trains, by its configuration."""

from collections.abc import Mapping
from typing import Any

from mimbench.data import ImageDataModule
from mimbench.methods import Method
from mimbench.training import Budget, measure_cost


def budget_of(config: Mapping[str, Any]) -> Budget:
    """The budget of a resolved configuration. Raises ValueError where it is none."""
    known = Budget.__dataclass_fields__
    if unknown := sorted(config["budget"].keys() - known.keys()):
        raise ValueError(f"There is no budget of {unknown[0]}; choose {', '.join(known)}.")
    return Budget(**config["budget"])


def limits(config: Mapping[str, Any], method: Method, data: ImageDataModule) -> dict[str, Any]:
    """How long to train, as `pretrain` is told; FLOPs as the steps they pay for."""
    budget = budget_of(config)
    if budget.flops is None:
        return dict(config["budget"])
    per_step = measure_cost(method, data.image_size).training_flops * data.batch_size
    return {"steps": budget.total_steps(data.steps_per_epoch, per_step)}
