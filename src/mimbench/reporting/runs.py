"""A run as a report sees it, and the condition that it repeats."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mimbench.reporting import records
from mimbench.reporting.records import Record

UNTRAINED = "untrained"


class Setting(NamedTuple):
    """What methods are compared within."""

    data: str
    encoder: str
    depth: int

    def __str__(self) -> str:
        return f"{self.data} · {self.encoder} · depth {self.depth}"


class Condition(NamedTuple):
    """What is repeated over seeds: one row of the comparison."""

    data: str
    encoder: str
    depth: int
    method: str
    variant: str

    @property
    def setting(self) -> Setting:
        return Setting(self.data, self.encoder, self.depth)

    @property
    def label(self) -> str:
        return f"{self.method} {self.variant}".rstrip()

    @property
    def order(self) -> tuple[Any, ...]:
        """Sorts by setting, the untrained encoder first."""
        return (*self.setting, self.method != UNTRAINED, self.method, self.variant)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a sweep.

    status: A status of `records.STATUSES`, or `missing` (planned, no record), `refused` (cannot exist),
        `broken` (its record cannot be read).
    variant: What distinguishes it from runs with the same method, encoder, depth and data, apart from the seed.
    config: The resolved configuration by dotted keys; empty where the run left none.
    """

    identity: str
    name: str
    status: str
    axes: dict[str, Any]
    overrides: tuple[str, ...] = ()
    variant: str = ""
    error: str = ""
    record: Record | None = None
    directory: Path | None = None
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def condition(self) -> Condition | None:
        """None where the plan does not say enough."""
        if any(not isinstance(self.axes.get(axis), kind) for axis, kind in records.AXES.items() if axis != "seed"):
            return None
        return Condition(*(self.axes[axis] for axis in ("data", "encoder", "depth", "method")), variant=self.variant)
