"""The command line: one module per command, imported when the command is called."""

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from mimbench import __version__
from mimbench.core.errors import UserError, nearest
from mimbench.experiments.plugins import enabled, split_options

COMMANDS = {
    "run": "pre-train one method on one dataset and evaluate it; with -m, a sweep",
    "list": "list methods, encoders, data, protocols, experiments and ablations",
    "plan": "list the runs that the same arguments of run would start, and their cost",
    "status": "show the state of every run of a sweep",
    "retry": "run the failed and lost runs of a sweep again",
    "evaluate": "run protocols on finished runs, checkpoints and imported weights",
    "analyze": "analyze encoders: similarity, rank, attention, gradients, reconstructions",
    "runs": "list the runs of several sweeps and their results: filtered, as a table, CSV or Parquet",
    "report": "write the tables and figures of a sweep",
    "bench": "measure how fast this machine trains, and what limits it",
    "dashboard": "create a workspace and a report on Weights & Biases",
    "sync": "upload offline runs to Weights & Biases",
    "data": "pack a folder of images into shards, and check shards",
    "new-project": "create a repository for methods and data of your own",
    "weights": "inspect, import and export weight files",
    "completion": "print a script with which bash, zsh or fish complete commands and keys",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status.

    0 is success, 1 failure, 2 a user error, 130 interruption, 141 output that its reader (such as head) closed. Every
    command accepts `--config-dir DIR`; see `mimbench.experiments.plugins`.
    """
    try:
        try:
            return _main(sys.argv[1:] if argv is None else argv)
        finally:
            sys.stdout.flush()  # here, since an error at the interpreter's end is a message
    except KeyboardInterrupt:
        print("mimbench: Interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _main(argv: Sequence[str]) -> int:
    try:
        words, folders = split_options(argv)
        if sys.flags.safe_path:
            os.environ["PYTHONSAFEPATH"] = "1"  # for child processes too, such as Lightning's ranks
        if not words or words[0] in ("-h", "--help", "help"):
            print(_usage())
            return 0
        if words[0] in ("-V", "--version"):
            print(f"mimbench {__version__}")
            return 0
        if words[0] not in COMMANDS:
            raise UserError(f"There is no command '{words[0]}'.{nearest(words[0], COMMANDS)} See mimbench --help.")
        with enabled(folders):
            return _call(words[0], words[1:])
    except UserError as error:
        print(f"mimbench: {error}", file=sys.stderr)
        return 2


def _call(command: str, words: list[str]) -> int:
    try:
        return import_module(f"mimbench.cli.{command.replace('-', '_')}").main(words)
    except KeyboardInterrupt:  # in commands without a message of their own, such as report
        print(f"mimbench {command}: Interrupted.", file=sys.stderr)
        return 130
    except (MemoryError, OSError, RecursionError, ImportError) as error:
        if isinstance(error, BrokenPipeError) or os.environ.get(_DEBUG) or not explain_machine(error):
            raise
        print(f"mimbench {command}: {explain_machine(error)} {_DEBUG}=1 prints the traceback.", file=sys.stderr)
        return 2 if isinstance(error, (OSError, RecursionError)) else 1


_DEBUG = "MIMBENCH_DEBUG"


def explain_machine(error: Exception) -> str:
    """A one-line message for an operating-system or file error that no command handles; empty for other errors."""
    if isinstance(error, MemoryError):
        return "There is not enough memory; use smaller batches or images, or close other programs."
    if isinstance(error, ImportError):
        unmapped = any(words in str(error) for words in ("failed to map segment", "annot allocate memory"))
        return "There is not enough memory for PyTorch, which needs 4 GB of addresses (ulimit -v)." if unmapped else ""
    if isinstance(error, RecursionError):
        return "A file is nested too deeply."
    if not isinstance(error, OSError):
        return ""
    from mimbench.core.text import printable

    reason = str(error.strerror or error)
    return printable(f"{error.filename} cannot be read or written ({reason})." if error.filename else f"{reason}.")


def _usage() -> str:
    rows = "\n".join(f"  {name:<13}{text}" for name, text in COMMANDS.items())
    return (
        "usage: mimbench COMMAND ...\n\n"
        "Compares masked-image-modeling methods under one recipe.\n\n"
        f"commands:\n{rows}\n\n"
        "Every command also accepts --config-dir DIR, a folder with config groups of your own.\n"
        "mimbench COMMAND --help lists the options of a command. First steps:\n"
        "  mimbench run experiment=demo method=mae data=photos\n"
        "  mimbench run -m experiment=demo method=mae,deepmim,localmim,mirl,untrained seed=0,1,2\n"
        "  mimbench report runs/demo"
    )
