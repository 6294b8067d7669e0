"""`mimbench sync`: uploads offline runs to Weights & Biases."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mimbench.runs.lock import is_alive


def main(argv: Sequence[str]) -> int:
    """Uploads and prints a table; exit status 1 if an upload failed, 2 for a user error."""
    options = _parser().parse_args(list(argv))
    if not options.directory.is_dir():
        return _refuse(f"{options.directory} is not a directory; give a run or a sweep.")
    from mimbench.trackers import wandb_access, wandb_sync

    runs = wandb_sync.find(options.directory)
    if not runs:
        return _refuse(f"{options.directory} contains no offline runs of W&B; logger=wandb writes them.")
    live = {run.identity for run in runs if run.pending and is_alive(run.directory)}
    todo = [run for run in runs if run.pending and run.identity not in live]
    if todo and (reason := wandb_access.access_error()):
        return _refuse(reason)
    said = wandb_sync.upload(todo, options.parallel, options.project, options.entity) if todo else ""
    failed = 0
    for run in runs:
        state = "still running" if run.identity in live else "failed" if run.pending else "uploaded"
        failed += state == "failed"
        if state == "uploaded" and run not in todo:
            state = "uploaded before"
        parts = "" if len(run.files) == 1 else f"  {len(run.files)} segments"
        print(f"{run.identity:<40}{state:<17}{run.directory}{parts}")
    if failed:
        print(said, file=sys.stderr)
        return _refuse(f"{failed} of {len(todo)} runs could not be uploaded; the same command tries again.", 1)
    return 0


def _refuse(message: str, status: int = 2) -> int:
    print(f"mimbench sync: {message}", file=sys.stderr)
    return status


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, got '{text}'")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mimbench sync",
        description=__doc__,
        epilog="Uploaded runs are marked and skipped the next time. Segments of a requeued run become one run.",
        allow_abbrev=False,
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="a run, a sweep, or a folder of sweeps")
    parser.add_argument(
        "--parallel", metavar="N", type=_positive, default=5, help="number of parallel uploads (default: %(default)s)"
    )
    parser.add_argument("--project", help="project to upload to (default: that of the run)")
    parser.add_argument("--entity", help="user or team to upload to (default: that of the run)")
    return parser
