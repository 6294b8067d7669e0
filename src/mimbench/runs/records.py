"""The record of a run (`record.json`): state, configuration axes, results, cost and environment."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mimbench.core.files import write_atomic
from mimbench.core.json_files import check_items, check_numbers, check_type, read_json
from mimbench.runs.directory import RECORD
from mimbench.runs.state import RECORDED

SCHEMA = 1
AXES = {"method": str, "encoder": str, "depth": int, "data": str, "seed": int}
BY_STEP = "by_step"  # key of the metrics for results of checkpoints, see `runs.results`
# The headline of a result is the first of these that it contains.
HEADLINES = ("accuracy", "miou", "ap_box", "ap")


@dataclass(frozen=True, kw_only=True)
class Record:
    """The record of a run; `dataclasses.replace` makes the next version.

    identity: Hash of the configuration; see `runs.identity`.
    status: A state of `RECORDED`.
    axes: At least method, encoder, depth, data and seed.
    depths: Depths that the method reads.
    metrics: Results by protocol (`knn-v1`) and last losses; accuracies are fractions.
    cost: Parameters, forward FLOPs per image, training FLOPs, seconds, images seen and images per second.
    environment: Versions, commit and device.
    started, finished: ISO 8601 times.
    """

    identity: str
    name: str
    status: str
    axes: dict[str, Any]
    started: str
    finished: str | None = None
    error: dict[str, str] | None = None
    sweep: str = ""
    overrides: list[str] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.status not in RECORDED:
            raise ValueError(f"status is {self.status!r}; expected one of {', '.join(RECORDED)}.")
        for axis, kind in AXES.items():
            if axis not in self.axes:
                raise ValueError(f"axes lack {axis!r}; expected {', '.join(AXES)}.")
            check_type(f"axes.{axis}", self.axes[axis], kind)
        if self.error is not None and not {"type", "message"} <= self.error.keys():
            raise ValueError("error needs 'type' and 'message'.")


def read(path: Path) -> Record:
    """Reads a `record.json`.

    Raises:
        ValueError: The file is not a record of this schema; the message names the file and the reason.
    """
    try:
        return Record(**_checked(read_json(path)))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a record of a run: {error}") from error


def write(record: Record, run_dir: Path) -> None:
    """Replaces `run_dir/record.json` atomically; see `as_json`."""
    text = json.dumps(as_json(record), indent=2, allow_nan=False, ensure_ascii=False)
    write_atomic(run_dir / RECORD, text + "\n")


def as_json(record: Record) -> dict[str, Any]:
    """The content of `record.json`; numbers that JSON does not have (NaN, inf) become null."""
    return _finite(dataclasses.asdict(record))


_REQUIRED = {"schema": int, "identity": str, "name": str, "status": str, "axes": dict, "started": str}
_NULLABLE = {"finished": str, "error": dict}
_OPTIONAL = {"sweep": str, "overrides": list, "depths": list, "metrics": dict, "cost": dict, "environment": dict}


class Headline(NamedTuple):
    """The main number of a result.

    Attributes:
        name: Key in the result, one of `HEADLINES`.
        value: A fraction.
        num_test: Number of test images if `value` is the fraction that is correct, otherwise None.
    """

    name: str
    value: float
    num_test: float | None


def headline(result: Any) -> Headline | None:
    """The headline of a result; None if it has none."""
    values = result if isinstance(result, dict) else {}
    for name in HEADLINES:
        value = values.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return Headline(name, float(value), values.get("num_test") if name == "accuracy" else None)
    return None


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    if values.get("schema") != SCHEMA:
        raise ValueError(
            f"schema is {values.get('schema')!r}; this version reads {SCHEMA}. Use the mimbench version that wrote it."
        )
    if missing := sorted(_REQUIRED.keys() - values.keys()):
        raise ValueError(f"it lacks {', '.join(missing)}.")
    kinds = _REQUIRED | _NULLABLE | _OPTIONAL
    if unknown := sorted(values.keys() - kinds.keys()):
        raise ValueError(f"it has unknown fields {', '.join(unknown)}; schema {SCHEMA} knows {', '.join(kinds)}.")
    for key, value in values.items():
        if not (value is None and key in _NULLABLE):
            check_type(key, value, kinds[key])
    check_items("overrides", values.get("overrides", []), str)
    check_items("depths", values.get("depths", []), int)
    check_numbers("cost", values.get("cost", {}))
    for key, value in (values.get("error") or {}).items():
        check_type(f"error.{key}", value, str)
    for key, value in values["axes"].items():
        check_axis(key, value)
    for name, result in values.get("metrics", {}).items():
        check_type(f"metrics.{name}", result, (int, float, dict, list, type(None)))
    return values


def check_axis(name: str, value: Any) -> None:
    """Raises ValueError unless a value of an axis is a scalar or a list of scalars."""
    scalars = (str, int, float, bool, type(None))
    for item in value if isinstance(value, list) else [value]:
        check_type(f"axes.{name}", item, scalars)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
