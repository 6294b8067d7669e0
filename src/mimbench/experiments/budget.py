"""The training budget of a configuration."""

from collections.abc import Mapping
from typing import Any

from mimbench.data import ImageDataModule
from mimbench.methods import Method
from mimbench.training import Budget, measure_cost


def read_budget(config: Mapping[str, Any]) -> Budget:
    """The budget in a resolved configuration.

    Raises:
        ValueError: A key or value is not valid.
    """
    known = Budget.__dataclass_fields__
    if unknown := sorted(config["budget"].keys() - known.keys()):
        raise ValueError(f"There is no budget of {unknown[0]}; choose one of {', '.join(known)}.")
    return Budget(**config["budget"])


def pretrain_limits(config: Mapping[str, Any], method: Method, data: ImageDataModule) -> dict[str, Any]:
    """The budget as arguments of `pretrain`; a budget of FLOPs is converted to steps."""
    budget = read_budget(config)
    if budget.flops is None:
        return dict(config["budget"])
    per_step = measure_cost(method, data.image_size).training_flops * data.batch_size
    return {"steps": budget.total_steps(data.steps_per_epoch, per_step)}
