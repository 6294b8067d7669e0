"""The objective of a hyper-parameter search."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mimbench.core.errors import UserError
from mimbench.runs import records
from mimbench.runs.directory import RECORD
from mimbench.runs.state import State


def check_objective(config: Mapping[str, Any], required: bool = False) -> None:
    """Checks that the objective is measured on the validation split.

    Raises:
        UserError: It is not, or it is missing although `required`.
    """
    key = config.get("objective")
    if key is None and required:
        raise UserError("A search needs objective=..., such as linear-v1.val_accuracy or val/loss.")
    name = str(key).rpartition(".")[2]
    if key is not None and not name.startswith(("val_", "val/")):
        raise UserError(
            f"objective={key} is not measured on the validation split, and choices must not depend on the test split; "
            "use linear-v1.val_accuracy, knn-v1.val_accuracy or val/loss."
        )


def read_objective(config: Mapping[str, Any], directory: Path) -> float | None:
    """Value of the objective; None if the configuration has none or the run has not finished.

    Raises:
        UserError: The run has no such result.
    """
    key, path = config.get("objective"), directory / RECORD
    if key is None or not path.exists() or (record := records.read(path)).status != State.FINISHED:
        return None
    protocol, _, name = str(key).rpartition(".")
    values = record.metrics.get(protocol, {}) if protocol else record.metrics
    if not isinstance(value := values.get(name), int | float):
        names = [f"{p}.{n}" for p, v in record.metrics.items() if isinstance(v, Mapping) for n in v]
        valid = [k for k in [*names, *record.metrics] if k.rpartition(".")[2].startswith(("val_", "val/"))]
        raise UserError(f"objective={key}: the run has no such result; choose one of {', '.join(valid)}.")
    return float(value)
