"""Evaluates the checkpoints of runs while they train."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mimbench.core.errors import UserError
from mimbench.experiments.evaluation.encoder_sources import EncoderSource, checkpoint_source
from mimbench.runs import records
from mimbench.runs.directory import CHECKPOINTS, LAST, RECORD
from mimbench.runs.lock import is_alive
from mimbench.runs.state import State


def follow(runs: Sequence[Path], evaluate: Callable[[EncoderSource], int], interval: float = 5.0) -> None:
    """Evaluates checkpoints as they appear, until all runs have ended. The runs themselves are not changed.

    A run keeps only its newest checkpoint, so checkpoints that are replaced during an evaluation are skipped.

    Args:
        evaluate: Called with each new checkpoint; expected to skip existing results.
        interval: Seconds between two checks.

    Raises:
        UserError: A path is not a run, or a checkpoint cannot be evaluated.
    """
    for run in runs:
        if not run.is_dir():
            raise UserError(f"--every-checkpoint needs directories of runs; {run} is not one.")
    seen: dict[Path, int] = {}
    active = list(runs)
    while active:
        for run in list(active):
            ended = not _is_training(run)  # before the check for a checkpoint, so that the last one is not missed
            newest = run / CHECKPOINTS / LAST
            stamp = _modification_time(newest)
            if stamp is not None and stamp != seen.get(run):
                evaluate(checkpoint_source(newest))
                seen[run] = stamp
            elif ended:
                active.remove(run)
        if active:
            time.sleep(interval)


def _modification_time(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # there is none yet, or it is being replaced
        return None


def _is_training(run: Path) -> bool:
    """Whether a process works on the run; the record of a killed run still says "running"."""
    path = run / RECORD
    return path.is_file() and records.read(path).status == State.RUNNING and is_alive(run)
