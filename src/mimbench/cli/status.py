"""`mimbench status`: the state of every run of a sweep."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mimbench.runs.state import State

_SECONDS = 5  # between two looks of --watch


def main(argv: list[str]) -> int:
    """Prints one table per sweep, with --watch until all runs have ended; exit status 2 if there is no sweep."""
    arguments = _parser().parse_args(_with_seconds(argv))
    from mimbench.cli.console import Console
    from mimbench.cli.status_table import WIDTH

    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    try:
        if arguments.watch is None:
            console.print(_view(arguments.directory)[0])
        else:
            _watch(arguments.directory, max(0.2, arguments.watch), console)
    except ValueError as error:
        print(f"mimbench status: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0  # the usual end of --watch
    return 0


def _with_seconds(argv: list[str]) -> list[str]:
    """The arguments with the seconds of a --watch that has none, so that argparse does not take DIR for them."""
    followers = [*argv[1:], ""]
    return [
        f"{word}={_SECONDS}" if word == "--watch" and not _is_number(after) else word
        for word, after in zip(argv, followers, strict=True)
    ]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _view(directory: Path) -> tuple[object, bool]:
    """The tables, and whether any run is still active."""
    from rich.console import Group

    from mimbench.cli.status_table import render
    from mimbench.experiments.status import ENDED, RunStatus, read_sweep, sweeps_below

    sweeps: Sequence[tuple[Path, list[RunStatus]]] = [(path, read_sweep(path)) for path in sweeps_below(directory)]
    active = any(run.state not in (*ENDED, State.PLANNED) for _, runs in sweeps for run in runs)
    return Group(*(render(path, runs) for path, runs in sweeps)), active


def _watch(directory: Path, seconds: float, console: object) -> None:
    from rich.live import Live

    from mimbench.cli.console import Console

    assert isinstance(console, Console)
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
        active = True
        while active:
            view, active = _view(directory)
            live.update(view, refresh=True)  # pyright: ignore[reportArgumentType]
            if active:
                time.sleep(seconds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mimbench status", description=__doc__, allow_abbrev=False)
    parser.add_argument("directory", metavar="DIR", type=Path, help="directory of a sweep, or of several sweeps")
    parser.add_argument(
        "--watch",
        metavar="SECONDS",
        type=float,
        help=f"repeat every SECONDS (default: {_SECONDS}) until no run is active",
    )
    return parser
