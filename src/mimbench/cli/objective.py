"""The number that a search for hyper-parameters looks at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mimbench.cli.mistakes import Mistake
from mimbench.reporting import records


def check_objective(config: Mapping[str, Any], required: bool = False) -> None:
    """Refuses an objective that is measured on the test split, or a missing one that is `required`.

    Raises:
        Mistake: See above.
    """
    key = config.get("objective")
    if key is None and required:
        raise Mistake("A search needs objective=..., such as linear-v1.val_accuracy or val/loss.")
    name = str(key).rpartition(".")[2]
    if key is not None and not name.startswith(("val_", "val/")):
        raise Mistake(
            f"objective={key} is not measured on the validation split, and the test split is for no choices; "
            "use linear-v1.val_accuracy, knn-v1.val_accuracy or val/loss."
        )


def objective_of(config: Mapping[str, Any], directory: Path) -> float | None:
    """The objective of a finished run; None without one, or when the run is still going on.

    Raises:
        Mistake: The run measured no such thing.
    """
    key, path = config.get("objective"), directory / records.FILE
    if key is None or not path.exists() or (record := records.read(path)).status != "finished":
        return None
    protocol, _, name = str(key).rpartition(".")
    values = record.metrics.get(protocol, {}) if protocol else record.metrics
    if not isinstance(value := values.get(name), int | float):
        there = [f"{p}.{n}" for p, v in record.metrics.items() if isinstance(v, Mapping) for n in v]
        there = [k for k in [*there, *record.metrics] if k.rpartition(".")[2].startswith(("val_", "val/"))]
        raise Mistake(f"objective={key}: the run measured no such thing; it has {', '.join(there)}.")
    return float(value)
