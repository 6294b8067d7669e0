"""The command `mimbench`, also as `python -m mimbench`."""

import os
import resource
import signal
import sys

_ADDRESSES = 4_000_000_000  # measured with PyTorch 2.15 for CUDA on Linux: 4.1 GB suffice, 3.6 GB do not


def main() -> int:
    """Runs the command line; Ctrl-C while it is still being imported ends with one line too."""
    at_start = signal.getsignal(signal.SIGINT)
    if at_start is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    _check_address_space()
    from mimbench.cli import main as command

    signal.signal(signal.SIGINT, at_start)
    return command()


def _check_address_space() -> None:
    """Warns where libraries would end the process with words of their own, or none."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if 0 <= limit < _ADDRESSES:
        print(
            f"mimbench: A process may have {limit / 1e9:.1f} GB of addresses (ulimit -v); PyTorch needs 4 GB. If this "
            "fails, raise the limit.",
            file=sys.stderr,
        )


def _end(*_: object) -> None:
    os.write(2, b"mimbench: Interrupted.\n")
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
