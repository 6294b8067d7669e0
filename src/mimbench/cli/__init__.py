"""The command line: one file per command, imported when it is called."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from mimbench import __version__
from mimbench.core.errors import UserError, nearest
from mimbench.experiments.plugins import enabled, split_options

COMMANDS = {
    "run": "pre-train one method on one dataset and evaluate it; with -m, a sweep",
    "plan": "what the same words would run, and what it would cost",
    "status": "how the runs of a sweep are",
    "retry": "run again what failed or was lost in a sweep",
    "evaluate": "protocols on finished runs, checkpoints and imported weights",
    "analyze": "what is inside encoders: similarity, rank, attention, gradients, reconstructions",
    "runs": "the runs of several sweeps and their results: filtered, as a table, CSV or Parquet",
    "report": "tables and figures of a sweep",
    "bench": "how fast this machine trains, and what limits it",
    "dashboard": "a workspace and a report at Weights & Biases",
    "sync": "upload what runs kept for Weights & Biases while offline",
    "data": "pack a folder of images into shards, and check shards",
    "new-project": "a repository for methods and data of your own",
    "weights": "look into, import and export files of weights",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; exit status 0 is success, 1 a failure, 2 a user's error, 130 an interruption.

    `--config-dir DIR` is understood by every command; see `mimbench.experiments.plugins`.
    """
    try:
        words, folders = split_options(sys.argv[1:] if argv is None else argv)
        if sys.flags.safe_path:
            os.environ["PYTHONSAFEPATH"] = "1"  # also for processes that this one starts, such as Lightning's ranks
        if not words or words[0] in ("-h", "--help", "help"):
            print(_usage())
            return 0
        if words[0] in ("-V", "--version"):
            print(f"mimbench {__version__}")
            return 0
        if words[0] not in COMMANDS:
            raise UserError(f"no command '{words[0]}'.{nearest(words[0], COMMANDS)} See mimbench --help.")
        with enabled(folders):
            return _call(words[0], words[1:])
    except UserError as error:
        print(f"mimbench: {error}", file=sys.stderr)
        return 2


def _call(command: str, words: list[str]) -> int:
    try:
        return import_module(f"mimbench.cli.{command.replace('-', '_')}").main(words)
    except KeyboardInterrupt:  # where nothing is left to be said, as in a report
        print(f"mimbench {command}: Interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as head, has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (MemoryError, OSError, RecursionError) as error:
        if os.environ.get(_DEBUG):
            raise
        print(f"mimbench {command}: {_explain(error)} {_DEBUG}=1 shows where.", file=sys.stderr)
        return 1 if isinstance(error, MemoryError) else 2


_DEBUG = "MIMBENCH_DEBUG"


def _explain(error: MemoryError | OSError | RecursionError) -> str:
    """One line for an error of the machine, or of a file that no command expected."""
    if isinstance(error, MemoryError):
        return "There is not enough memory; use smaller batches or images, or close other programs."
    if isinstance(error, RecursionError):
        return "A file is nested too deeply."
    from mimbench.core.text import printable

    name = f"{error.filename}: " if error.filename else ""
    return printable(f"{name}{error.strerror or error}.")


def _usage() -> str:
    rows = "\n".join(f"  {name:<13}{text}" for name, text in COMMANDS.items())
    return (
        "usage: mimbench COMMAND ...\n\n"
        "Compares masked-image-modeling methods under one recipe.\n\n"
        f"commands:\n{rows}\n\n"
        "Every command also takes --config-dir DIR, a folder of config groups of your own.\n"
        "mimbench COMMAND --help says more. First steps:\n"
        "  mimbench run experiment=demo method=mae data=photos\n"
        "  mimbench run -m experiment=demo method=mae,deepmim,localmim,mirl,untrained seed=0,1,2\n"
        "  mimbench report runs/demo"
    )
