"""What a tracker such as W&B is told about a run before it begins."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Job = Literal["pretrain", "evaluate", "finetune", "analysis"]


@dataclass(frozen=True)
class Facts:
    """Who a run is.

    Attributes:
        identity: Unique and the same after a requeue.
        group: The sweep.
        config: By dotted key, complete.
        directory: The run's own.
    """

    identity: str
    name: str
    group: str
    job: Job
    directory: Path
    axes: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tags(self) -> list[str]:
        """One per axis; W&B takes up to 64 characters."""
        return [f"{axis}:{value}"[:64] for axis, value in self.axes.items()]

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration, and the axes as `axes/NAME`."""
        return dict(self.config) | {f"axes/{axis}": value for axis, value in self.axes.items()}
