"""Time from the start of a process to the first step."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mimbench.benchmarking.interleave import measure_interleaved

RUN = "method=mae data=digits optim.batch_size=64 budget=steps budget.steps=1 protocol=[] callbacks=none"
_STEP = "step 1/"  # the start of the line that a run prints after its first optimizer step


@dataclass(frozen=True)
class Start:
    """Times of one process.

    Attributes:
        seconds: Wall time from start to end.
        cpu_seconds: Processor time of all its threads and child processes; hardly affected by other load.
        first_step: Wall time from start to the line about the first optimizer step; None without that line.
    """

    seconds: float
    cpu_seconds: float
    first_step: float | None = None


def measure_startup(rounds: int) -> dict[str, Any]:
    """Measures whole processes, and the first step of a run, which afterwards also validates, saves and exports.

    Raises:
        RuntimeError: A process failed.
    """
    commands = {
        "python": ["-c", "pass"],
        "import torch": ["-c", "import torch"],
        "mimbench --version": ["-m", "mimbench", "--version"],
        "mimbench run, one step": ["-m", "mimbench", "run", *RUN.split()],
    }
    times = measure_interleaved({name: partial(watch, arguments) for name, arguments in commands.items()}, rounds)
    return {"rows": [_row(name, starts) for name, starts in times.items()], "run": f"mimbench run {RUN}"}


def watch(arguments: list[str]) -> Start:
    """Runs Python with some arguments in an empty folder.

    Raises:
        RuntimeError: The process failed.
    """
    with tempfile.TemporaryDirectory() as home, (Path(home) / "errors").open("w+") as errors:
        before, begin = os.times(), time.perf_counter()
        first = None
        with subprocess.Popen(
            [sys.executable, *arguments], cwd=home, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if first is None and line.startswith(_STEP):
                    first = time.perf_counter() - begin
        seconds, after = time.perf_counter() - begin, os.times()
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(arguments)} failed: {errors.read().strip()[-500:]}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Start(seconds, used, first)


def _row(name: str, starts: list[Start]) -> dict[str, Any]:
    firsts = [start.first_step for start in starts if start.first_step is not None]
    return {
        "name": name,
        "first_step": statistics.median(firsts) if firsts else None,
        "seconds": statistics.median(start.seconds for start in starts),
        "cpu_seconds": statistics.median(start.cpu_seconds for start in starts),
    }
