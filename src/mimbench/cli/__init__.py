"""The command line: one file per command, imported when it is called."""

import sys
from collections.abc import Sequence
from importlib import import_module

from mimbench import __version__

COMMANDS = {
    "run": "pre-train one method on one dataset and evaluate it; with -m, a sweep",
    "plan": "what the same words would run, and what it would cost",
    "status": "how the runs of a sweep are",
    "retry": "run again what failed or was lost in a sweep",
    "evaluate": "protocols on finished runs, checkpoints and imported weights",
    "analyze": "what is inside encoders: similarity, rank, attention, gradients, reconstructions",
    "report": "tables and figures of a sweep",
    "bench": "how fast this machine trains, and what limits it",
    "dashboard": "a workspace and a report at Weights & Biases",
    "sync": "upload what runs kept for Weights & Biases while offline",
    "data": "pack a folder of pictures into shards, and check shards",
    "weights": "look into, import and export files of weights",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; 0 is success, 1 a failure, 2 a mistake in the call, 130 an interruption."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"mimbench {__version__}")
        return 0
    if words[0] not in COMMANDS:
        from mimbench.cli.mistakes import nearest

        print(f"mimbench: no command '{words[0]}'.{nearest(words[0], COMMANDS)} See mimbench --help.", file=sys.stderr)
        return 2
    try:
        return import_module(f"mimbench.cli.{words[0]}").main(words[1:])
    except KeyboardInterrupt:  # where nothing is left to be said, as in a report
        print(f"mimbench {words[0]}: Interrupted.", file=sys.stderr)
        return 130


def _usage() -> str:
    rows = "\n".join(f"  {name:<10}{text}" for name, text in COMMANDS.items())
    return (
        "usage: mimbench COMMAND ...\n\n"
        "Compares masked-image-modelling methods under one recipe.\n\n"
        f"commands:\n{rows}\n\n"
        "mimbench COMMAND --help says more. First steps:\n"
        "  mimbench run experiment=demo method=mae data=photos\n"
        "  mimbench run -m experiment=demo method=mae,deepmim,localmim,mirl,untrained seed=0,1,2\n"
        "  mimbench report runs/demo"
    )
