"""One run as JSON: what it was, how it ended, what it measured and what it cost."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mimbench.reporting.files import write_whole

SCHEMA = 1
STATUSES = ("running", "finished", "failed", "interrupted")
AXES = {"method": str, "encoder": str, "depth": int, "data": str, "seed": int}
# What is shown of a result: the first of these that it has.
HEADLINES = ("accuracy", "miou", "ap_box", "ap")
FILE = "record.json"


@dataclass(frozen=True, kw_only=True)
class Record:
    """What one run leaves behind; `dataclasses.replace` makes the next state of it.

    identity: Hash of the resolved configuration, without what cannot change the result.
    status: One of `STATUSES`.
    axes: At least method, encoder, depth, data and seed.
    depths: Taps that the method reads.
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
        if self.status not in STATUSES:
            raise ValueError(f"status is {self.status!r}; expected one of {', '.join(STATUSES)}.")
        for axis, kind in AXES.items():
            if axis not in self.axes:
                raise ValueError(f"axes lack {axis!r}; expected {', '.join(AXES)}.")
            _check(f"axes.{axis}", self.axes[axis], kind)
        if self.error is not None and not {"type", "message"} <= self.error.keys():
            raise ValueError("error needs 'type' and 'message'.")


def read(path: Path) -> Record:
    """Reads a `record.json`.

    Raises:
        ValueError: The file is no record of this schema; the message names the file and the fault.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Record(**_checked(values))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not valid JSON ({error}). Delete the file and run the command again.") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def write(record: Record, run_dir: Path) -> None:
    """Writes `run_dir/record.json` whole or not at all; numbers that JSON does not have (NaN, inf) become null."""
    values = _finite(dataclasses.asdict(record))
    text = json.dumps(values, indent=2, allow_nan=False, ensure_ascii=False)
    write_whole(run_dir / FILE, text + "\n")


_REQUIRED = {"schema": int, "identity": str, "name": str, "status": str, "axes": dict, "started": str}
_NULLABLE = {"finished": str, "error": dict}
_OPTIONAL = {"sweep": str, "overrides": list, "depths": list, "metrics": dict, "cost": dict, "environment": dict}


def headline(result: Any) -> tuple[float, float | None] | None:
    """The number of a result that is shown, a fraction, and of how many images it is a share, if it is one."""
    values = result if isinstance(result, dict) else {}
    for name in HEADLINES:
        value = values.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value), values.get("num_test") if name == "accuracy" else None
    return None


def _checked(values: Any) -> dict[str, Any]:
    _check("the record", values, dict)
    if values.get("schema") != SCHEMA:
        raise ValueError(
            f"schema is {values.get('schema')!r}, this version reads {SCHEMA}. Use the mimbench that wrote it."
        )
    if missing := sorted(_REQUIRED.keys() - values.keys()):
        raise ValueError(f"lacks {', '.join(missing)}.")
    kinds = _REQUIRED | _NULLABLE | _OPTIONAL
    if unknown := sorted(values.keys() - kinds.keys()):
        raise ValueError(f"has unknown fields {', '.join(unknown)}; schema {SCHEMA} knows {', '.join(kinds)}.")
    for key, value in values.items():
        if not (value is None and key in _NULLABLE):
            _check(key, value, kinds[key])
    return values


def _check(name: str, value: Any, kind: type) -> None:
    # JSON's true is no number, though Python's bool is an int.
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; expected {kind.__name__}.")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
