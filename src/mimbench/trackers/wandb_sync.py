"""Upload of offline W&B runs."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mimbench.runs.directory import CHECKPOINTS, FIGURES

_FOLDER = re.compile(r"offline-run-\d{8}_\d{6}-(.+)")


@dataclass(frozen=True)
class OfflineRun:
    """An offline run and its segments: one file, and another one for each requeue.

    Attributes:
        directory: Contains its `wandb` folder.
        files: The segments in the order of their start.
    """

    identity: str
    directory: Path
    files: tuple[Path, ...]

    @property
    def pending(self) -> tuple[Path, ...]:
        """Segments without the mark of W&B's client for uploaded ones."""
        return tuple(path for path in self.files if not path.with_suffix(".wandb.synced").exists())


def find(directory: Path) -> list[OfflineRun]:
    """All offline runs below a directory."""
    files: dict[tuple[Path, str], list[Path]] = {}
    for folder, below, _ in os.walk(directory):
        below.sort()
        if Path(folder).name == "wandb":
            for name in below:
                if (match := _FOLDER.fullmatch(name)) and (found := sorted((Path(folder) / name).glob("run-*.wandb"))):
                    files.setdefault((Path(folder).parent, match[1]), []).extend(found)
            below.clear()
        below[:] = [name for name in below if name not in (CHECKPOINTS, FIGURES) and not name.startswith(".")]
    return [OfflineRun(identity, home, tuple(own)) for (home, identity), own in files.items()]


def upload(runs: Sequence[OfflineRun], parallel: int, project: str | None = None, entity: str | None = None) -> str:
    """Uploads pending segments and returns the output of W&B's client.

    Afterwards `pending` lists the segments that could not be uploaded.

    Args:
        parallel: Number of runs uploaded at a time; segments of a run are uploaded one after another.
    """
    paths = [str(path) for run in runs for path in run.pending]
    if not paths:
        return ""
    target = [*(["--project", project] if project else []), *(["--entity", entity] if entity else [])]
    command = [sys.executable, "-m", "wandb", "sync", "-n", str(parallel), *target, *paths]
    environment = {key: value for key, value in os.environ.items() if key not in ("WANDB_MODE", "WANDB_SILENT")}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    return done.stdout
