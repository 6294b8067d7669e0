"""`mimbench retry`: runs again what failed or was lost in a sweep."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mimbench.cli.compose import Composer
    from mimbench.sweeps.status import RunStatus


def main(argv: list[str]) -> int:
    """Goes on from the checkpoints; 0 when all have finished or none had to, 1 when some failed again."""
    arguments, words = _parser().parse_known_args(argv)
    # PyTorch takes some seconds to import; --help need not wait for it.
    from mimbench.cli.compose import answer

    return answer("retry", words, lambda: _retry(arguments, words))


def _retry(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    import sys

    from mimbench.cli.mistakes import Mistake
    from mimbench.sweeps.pool import SweepFailed
    from mimbench.sweeps.status import read_sweep, sweeps_below

    wanted = ("failed", "lost", *(("interrupted", "planned") if arguments.all else ()))
    if other := [word for word in words if not word.lstrip("+").startswith(("hydra/launcher=", "hydra.launcher."))]:
        raise Mistake(
            f"{other[0]}: a run is tried again as it was; only the launcher can be chosen (hydra/launcher=...)."
        )
    try:
        [sweep, *more] = sweeps_below(arguments.directory)
        runs = [] if more else [run for run in read_sweep(sweep) if run.state in wanted]
    except ValueError as error:
        raise Mistake(str(error)) from error
    if more:
        raise Mistake(f"{arguments.directory} holds several sweeps; name one, such as {sweep}.")
    if not runs:
        print(f"{sweep}: no run is {' or '.join(wanted)}; nothing to do.")
        return 0
    print("\n".join(f"{run.state:<12}{run.name}" for run in runs), flush=True)
    if arguments.dry_run:
        return 0
    try:
        _launch(sweep, runs, words)
    except SweepFailed as failure:
        print(f"mimbench retry: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mimbench retry: Interrupted; `mimbench retry --all` goes on from here.", file=sys.stderr)
        return 130
    return 0


def _launch(sweep: Path, runs: "Sequence[RunStatus]", words: Sequence[str]) -> None:
    """Runs with their original words, on the launcher of the command or that of their last submission."""
    from mimbench.cli.compose import composer

    chosen = any(word.startswith("hydra/launcher=") for word in words)
    last = [] if chosen else _last_launcher(runs)
    with composer([*_common(runs), *last, *words]) as hydra:
        jobs = [_words(hydra, sweep, run) for run in runs]
        hydra.launcher().launch(jobs, 0)


def _words(hydra: "Composer", sweep: Path, run: "RunStatus") -> list[str]:
    """The run's words, and where it lies if that is not where they lead from here.

    Raises:
        Mistake: They would make another run than they did.
    """
    from mimbench.cli.build import inspect
    from mimbench.cli.config import describe, plain, sweep_directory
    from mimbench.cli.mistakes import Mistake

    words = list(run.overrides)
    config = plain(hydra.configs([words])[0])
    if sweep_directory(config).resolve() != sweep.resolve():
        place = sweep.resolve()
        words += [f"paths.runs={_quoted(str(place.parent))}", f"sweep={_quoted(place.name)}"]
    made = describe(config, words, *inspect(config))
    if made.identity != run.identity:
        raise Mistake(
            f"The words of {run.name} now make another run ({made.identity}): the configuration has changed since. "
            "Call the sweep's own command again."
        )
    return words


def _common(runs: "Sequence[RunStatus]") -> list[str]:
    """The words of all runs, such as an experiment that brings options of the launcher."""
    return [word for word in runs[0].overrides if all(word in run.overrides for run in runs)]


def _last_launcher(runs: "Sequence[RunStatus]") -> list[str]:
    options = next((run.launcher for run in runs if run.launcher is not None), None)
    if options is None:
        return []
    # ++, since keys of their own may have been added to a mapping.
    return ["hydra/launcher=slurm", *(f"++hydra.launcher.{key}={_word(value)}" for key, value in options.items())]


def _word(value: Any) -> str:
    """A value in Hydra's grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(_word(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_word(item)}" for key, item in value.items()) + "}"
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mimbench retry",
        usage="mimbench retry [options] DIR [hydra/launcher=... hydra.launcher...=...]",
        description="Runs again the failed and lost runs of a sweep, each from its checkpoint and with its own words.",
        allow_abbrev=False,
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="directory of a sweep")
    parser.add_argument("--all", action="store_true", help="interrupted runs and those that never began as well")
    parser.add_argument("--dry-run", action="store_true", help="only say which")
    return parser
