"""`mimbench retry`: runs the failed and lost runs of a sweep again."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mimbench.runs.state import State

if TYPE_CHECKING:
    from mimbench.experiments.status import RunStatus


def main(argv: list[str]) -> int:
    """Continues from checkpoints; exit status 0 if all runs finished or none was left, 1 if some failed again."""
    arguments, overrides = _parser().parse_known_args(argv)
    # Importing PyTorch takes seconds; --help does not need it.
    from mimbench.experiments.composition.compose import run_command

    return run_command("retry", overrides, lambda: _retry(arguments, overrides))


def _retry(arguments: argparse.Namespace, overrides: Sequence[str]) -> int:
    from mimbench.core.errors import UserError
    from mimbench.experiments.launch.pool import SweepFailed
    from mimbench.experiments.status import read_sweep, sweeps_below

    wanted = (State.FAILED, State.LOST, *((State.INTERRUPTED, State.PLANNED) if arguments.all else ()))
    if other := [own for own in overrides if not own.lstrip("+").startswith(("hydra/launcher=", "hydra.launcher."))]:
        raise UserError(
            f"{other[0]}: runs keep their configuration; only the launcher can be changed (hydra/launcher=...)."
        )
    try:
        [sweep, *more] = sweeps_below(arguments.directory)
        found = [] if more else read_sweep(sweep)
        runs = [run for run in found if run.state in wanted]
    except ValueError as error:
        raise UserError(str(error)) from error
    if more:
        raise UserError(f"{arguments.directory} contains several sweeps; choose one, such as {sweep}.")
    if not runs:
        print(f"{sweep}: no run is {' or '.join(wanted)}; {_rest(sweep, found)}.")
        return 0
    print("\n".join(f"{run.state:<12}{run.name}" for run in runs), flush=True)
    if arguments.dry_run:
        return 0
    from mimbench.experiments.retry import Trust, retry

    try:
        retry(sweep, runs, overrides, Trust(arguments.use_stored_setup, arguments.use_stored_code))
    except SweepFailed as failure:
        print(f"mimbench retry: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"mimbench retry: Interrupted; `mimbench retry --all {sweep}` continues.", file=sys.stderr)
        return 130
    return 0


def _rest(sweep: Path, runs: Sequence["RunStatus"]) -> str:
    """What --all would run."""
    states = [state for state in (State.INTERRUPTED, State.PLANNED) if any(run.state == state for run in runs)]
    counts = " and ".join(f"{sum(run.state == state for run in runs)} {state}" for state in states)
    return (
        f"`mimbench retry --all {sweep}` also runs those that are not finished: {counts}" if states else "nothing to do"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mimbench retry",
        usage="mimbench retry [options] DIR [hydra/launcher=... hydra.launcher...=...]",
        description="Runs the failed and lost runs of a sweep again, each from its checkpoint with its configuration.",
        allow_abbrev=False,
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="directory of a sweep")
    parser.add_argument("--all", action="store_true", help="also run interrupted runs and runs that never started")
    parser.add_argument(
        "--use-stored-setup",
        action="store_true",
        help="execute the shell lines (setup) and sbatch options in the sweep's files; only for sweeps you trust",
    )
    parser.add_argument(
        "--use-stored-code",
        action="store_true",
        help="instantiate classes outside mimbench named by the sweep's overrides; only for sweeps you trust",
    )
    parser.add_argument("--dry-run", action="store_true", help="list the runs without starting them")
    return parser
