"""Evaluates the checkpoints of runs while they go on."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mimbench.cli.lock import holder
from mimbench.cli.mistakes import Mistake
from mimbench.cli.subjects import CHECKPOINT, Candidate, checkpoint, in_progress


def follow(runs: Sequence[Path], evaluate: Callable[[Candidate], int], interval: float = 5.0) -> None:
    """Evaluates every checkpoint that is seen, until all runs have ended; none is disturbed.

    A run keeps its newest checkpoint alone: one that is replaced during the evaluation of another is passed over.

    Args:
        evaluate: Called with the newest checkpoint; one that was evaluated before costs nothing.
        interval: Seconds between two looks.

    Raises:
        Mistake: What was named is no run, or a checkpoint cannot be evaluated.
    """
    for run in runs:
        if not run.is_dir():
            raise Mistake(f"--every-checkpoint follows runs; {run} is none.")
    seen: dict[Path, int] = {}
    going = list(runs)
    while going:
        for run in list(going):
            ended = not _alive(run)  # asked before the look at the checkpoint, so that the last one is not missed
            newest = run / CHECKPOINT
            stamp = _stamp(newest)
            if stamp is not None and stamp != seen.get(run):
                evaluate(checkpoint(newest))
                seen[run] = stamp
            elif ended:
                going.remove(run)
        if going:
            time.sleep(interval)


def _stamp(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # none yet, or the moment in which a newer one takes its place
        return None


def _alive(run: Path) -> bool:
    """Whether a process works on the run; one that was killed cannot change its record any more."""
    someone = holder(run)
    return in_progress(run) and someone is not None and not someone.dead
