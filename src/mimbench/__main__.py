"""The command `mimbench`, also as `python -m mimbench`."""

import os
import signal
import sys


def main() -> int:
    """Runs the command line; Ctrl-C while it is still being imported ends with one line too."""
    at_start = signal.getsignal(signal.SIGINT)
    if at_start is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    from mimbench.cli import main as command

    signal.signal(signal.SIGINT, at_start)
    return command()


def _end(*_: object) -> None:
    os.write(2, b"mimbench: Interrupted.\n")
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
