"""From the command to the first step."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mimbench.benchmarking.turns import take_turns

RUN = "method=mae data=digits optim.batch_size=64 budget=steps budget.steps=1 protocol=[] callbacks=none"
_STEP = "step 1/"  # what a run says after its first optimiser step


@dataclass(frozen=True)
class Start:
    """How long a process took.

    Attributes:
        seconds: From its start to its end, on the wall.
        cpu_seconds: Of all its threads, and of its own processes; the same on a busy machine.
        first_step: Seconds on the wall from its start until it said that the first optimiser step was done, or None.
    """

    seconds: float
    cpu_seconds: float
    first_step: float | None = None


def measure_startup(rounds: int) -> dict[str, Any]:
    """Whole processes, and the first step of a run, which then also validates, saves and exports.

    Raises:
        RuntimeError: A process failed.
    """
    commands = {
        "python": ["-c", "pass"],
        "import torch": ["-c", "import torch"],
        "mimbench --version": ["-m", "mimbench", "--version"],
        "mimbench run, one step": ["-m", "mimbench", "run", *RUN.split()],
    }
    found = take_turns({name: lambda words=words: watch(words) for name, words in commands.items()}, rounds)
    return {"rows": [_row(name, starts) for name, starts in found.items()], "run": f"mimbench run {RUN}"}


def watch(words: list[str]) -> Start:
    """Runs Python with some words, in an empty folder.

    Raises:
        RuntimeError: It failed.
    """
    with tempfile.TemporaryDirectory() as home, (Path(home) / "errors").open("w+") as errors:
        before, begin = os.times(), time.perf_counter()
        first = None
        with subprocess.Popen(
            [sys.executable, *words], cwd=home, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if first is None and line.startswith(_STEP):
                    first = time.perf_counter() - begin
        seconds, after = time.perf_counter() - begin, os.times()
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(words)} failed: {errors.read().strip()[-500:]}")
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
