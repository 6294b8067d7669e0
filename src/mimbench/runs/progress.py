"""How far a run is: `progress.json`, which training and evaluation rewrite while they work."""

import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mimbench.core.files import write_atomic
from mimbench.core.json_files import read_json
from mimbench.runs.directory import PROGRESS

TRAINING = "training"
_MAX_BYTES, _MAX_NUMBER = 1 << 16, 1e15


@dataclass(frozen=True)
class RunProgress:
    """What a run wrote last; None for what it did not write, or wrote in another type.

    Attributes:
        stage: What it does, such as "training" or "evaluating knn-v1".
        step: Optimizer steps done.
        total: Optimizer steps of the whole run.
        seconds_left: Estimated rest of the training, when it was written.
        age: Seconds since it was written.
    """

    stage: str | None = None
    step: int | None = None
    total: int | None = None
    steps_per_epoch: int | None = None
    images_per_second: float | None = None
    seconds_left: float | None = None
    age: float = 0.0

    @property
    def seconds_left_now(self) -> float | None:
        """The estimated rest of the training now; not below 0."""
        return None if self.seconds_left is None else max(0.0, self.seconds_left - self.age)


def read_progress(run: Path) -> RunProgress:
    """The progress in the directory of a run; empty if the file is missing or unreadable."""
    path = run / PROGRESS
    try:
        values = read_json(path, _MAX_BYTES)
        age = time.time() - path.stat().st_mtime
    except (OSError, ValueError):
        return RunProgress()
    numbers = {key: value for key, value in values.items() if _is_number(value)}
    stage = values.get("stage")
    return RunProgress(
        stage=stage if isinstance(stage, str) else None,
        **{key: int(numbers[key]) for key in ("step", "total", "steps_per_epoch") if key in numbers},
        images_per_second=numbers.get("images_per_second"),
        seconds_left=numbers.get("seconds_left"),
        age=age,
    )


def write_progress(path: Path, stage: str, **values: Any) -> None:
    """Replaces a progress file; it also says which process works on the run."""
    who = {"host": platform.node(), "pid": os.getpid()}
    write_atomic(path, json.dumps({"stage": stage, **values, **who}), durable=False)


def write_stage(run: Path, stage: str) -> None:
    """Changes the stage of a run and keeps the steps it has done; rate and remaining time no longer apply."""
    before = read_progress(run)
    steps = {"step": before.step, "total": before.total, "steps_per_epoch": before.steps_per_epoch}
    write_progress(run / PROGRESS, stage, **{key: value for key, value in steps.items() if value is not None})


def duration(seconds: float | None) -> str:
    """A duration in at most two units: 3 d 4 h, 5 h 10 min, 40 s."""
    if seconds is None:
        return "?"
    left = round(seconds)
    for size, unit, below, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if left >= size:
            return f"{left // size} {unit} {left % size // below} {small}"
    return f"{left} s"


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _MAX_NUMBER
