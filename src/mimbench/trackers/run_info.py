"""What trackers log about a run when it starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Job = Literal["pretrain", "evaluate", "finetune", "analysis"]


@dataclass(frozen=True)
class RunInfo:
    """Identity, names and configuration of a run.

    Attributes:
        identity: Unique, and unchanged after a requeue.
        group: The sweep.
        directory: Where trackers write their files.
        axes: By name; see `mimbench.runs.records.AXES`.
        config: The complete configuration by dotted key.
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
        """One per axis, cut to the 64 characters that W&B accepts."""
        return [f"{axis}:{value}"[:64] for axis, value in self.axes.items()]

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration by dotted key, and the axes as `axes/NAME`."""
        return dict(self.config) | {f"axes/{axis}": value for axis, value in self.axes.items()}
