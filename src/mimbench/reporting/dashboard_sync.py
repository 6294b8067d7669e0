"""Runs that W&B has not seen yet."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mimbench.reporting.dashboard_key import has_key, silence

_FOLDER = re.compile(r"offline-run-\d{8}_\d{6}-(.+)")


@dataclass(frozen=True)
class OfflineRun:
    """One run and its segments, one more for each time that it was requeued.

    Attributes:
        directory: Where its `wandb` folder lies.
        files: In order of their start.
    """

    identity: str
    directory: Path
    files: tuple[Path, ...]

    @property
    def pending(self) -> tuple[Path, ...]:
        """Segments that were not uploaded; W&B's client marks the others."""
        return tuple(path for path in self.files if not path.with_suffix(".wandb.synced").exists())


def find(directory: Path) -> list[OfflineRun]:
    """All offline runs below a directory, by identity."""
    files: dict[tuple[Path, str], list[Path]] = {}
    for folder, below, _ in os.walk(directory):
        below.sort()
        if Path(folder).name == "wandb":
            for name in below:
                if (match := _FOLDER.fullmatch(name)) and (found := sorted((Path(folder) / name).glob("run-*.wandb"))):
                    files.setdefault((Path(folder).parent, match[1]), []).extend(found)
            below.clear()
        below[:] = [name for name in below if name not in ("checkpoints", "figures") and not name.startswith(".")]
    return [OfflineRun(identity, home, tuple(own)) for (home, identity), own in files.items()]


def refusal(timeout: float = 10.0) -> str:
    """Why nothing can be uploaded now; empty if it can."""
    if not has_key():
        return "there is no API key. Set WANDB_API_KEY or run `wandb login`."
    reason = silence(timeout)
    return f"{reason}. Call again when it does." if reason else ""


def upload(runs: Sequence[OfflineRun], parallel: int, project: str | None = None, entity: str | None = None) -> str:
    """Uploads what is pending: runs at once, segments of a run after each other; what W&B's client said.

    Afterwards `pending` tells what could not be uploaded.
    """
    paths = [str(path) for run in runs for path in run.pending]
    if not paths:
        return ""
    target = [*(["--project", project] if project else []), *(["--entity", entity] if entity else [])]
    command = [sys.executable, "-m", "wandb", "sync", "-n", str(parallel), *target, *paths]
    quiet = {key: value for key, value in os.environ.items() if key not in ("WANDB_MODE", "WANDB_SILENT")}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=quiet)
    return done.stdout
