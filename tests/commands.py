"""The command line in a process of its own, with something going wrong."""

import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from signalling import Fault, plant

from mimbench.cli import main


def command(words: Sequence[str], home: Path, faults: Sequence[Fault] = (), largest_file: int | None = None) -> None:
    """Calls `mimbench run` at home.

    Args:
        largest_file: In bytes; more is an error, as on a full disk.
    """
    torch.set_num_threads(1)
    home.mkdir(exist_ok=True)
    os.chdir(home)
    plant(faults)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    sys.exit(main(["run", *words]))
