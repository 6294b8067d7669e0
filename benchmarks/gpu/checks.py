"""What a check is, and what it is given."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class SkipCheck(Exception):
    """The check does not apply to this machine; the message says why."""


class PauseCheck(Exception):
    """The check has used its time and has kept its work; the next call goes on with it."""


@dataclass(frozen=True)
class Setting:
    """Where and how the checks of a stage compute.

    Attributes:
        device: "cuda" or "cpu".
        rehearsal: Tiny sizes; numbers mean nothing and goals are not judged.
        output: Folder of the results.
        work: Folder for runs, data and compiler caches.
        kit: Folder that `make gpu-wheels` has filled.
        limit: Seconds that the check has before it is ended.
    """

    device: str
    rehearsal: bool
    output: Path
    work: Path
    kit: Path
    limit: float = math.inf


@dataclass(frozen=True)
class Goal:
    """A bound of a value.

    Attributes:
        upper: Whether the value must be at most `bound`; otherwise at least.
    """

    bound: float
    upper: bool = False

    def met(self, value: float) -> bool:
        return value <= self.bound if self.upper else value >= self.bound

    def __str__(self) -> str:
        return f"{'at most' if self.upper else 'at least'} {self.bound:g}"


@dataclass(frozen=True)
class Check:
    """One question to the machine.

    Attributes:
        run: Returns values that JSON can hold, or raises an error that says what is wrong. Importable, since it is
            called in another process.
        seconds: Expected time on an H100; the check does not begin if less is left.
        goals: Bounds of returned values, by their keys. A value of None is not judged.
    """

    name: str
    run: Callable[[Setting], Mapping[str, Any]]
    seconds: float
    goals: Mapping[str, Goal] = field(default_factory=dict)
