"""A run as the report reads it, and the condition that it belongs to."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mimbench.reporting.method_names import display
from mimbench.runs.records import AXES, Record

UNTRAINED = "untrained"


class Setting(NamedTuple):
    """Data, encoder and depth; methods are compared within a setting."""

    data: str
    encoder: str
    depth: int

    def __str__(self) -> str:
        return f"{self.data} · {self.encoder} · depth {self.depth}"


class Condition(NamedTuple):
    """One row of the comparison: everything that its runs share; they differ in the seed."""

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
        """Names of method and variant, `MAE masker.ratio=0.6`."""
        return display(self.method, self.variant)

    @property
    def order(self) -> tuple[Any, ...]:
        """Sort key: by setting, the untrained encoder first."""
        return (*self.setting, self.method != UNTRAINED, self.method, self.variant)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a sweep.

    variant: What distinguishes it from other runs of its setting, apart from method and seed.
    config: The resolved configuration by dotted keys; empty if the run has none.
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
    def unreadable(self) -> bool:
        """Whether its record exists and cannot be read."""
        return self.record is None and self.directory is not None

    @property
    def condition(self) -> Condition | None:
        """None if an axis is missing or has the wrong type."""
        axes = [axis for axis in Condition._fields if axis in AXES]
        if any(not isinstance(self.axes.get(axis), AXES[axis]) for axis in axes):
            return None
        return Condition(*(self.axes[axis] for axis in axes), variant=self.variant)
