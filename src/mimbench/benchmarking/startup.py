"""From the command to the first step."""

import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from mimbench.benchmarking.turns import take_turns

RUN = "method=mae data=digits optim.batch_size=64 budget=steps budget.steps=1 protocol=[] callbacks=none"


def measure_startup(rounds: int) -> dict[str, Any]:
    """Seconds on the wall of whole processes, the last of which also saves and exports what it has trained.

    Raises:
        RuntimeError: A process failed.
    """
    run = [sys.executable, "-m", "mimbench", "run", *RUN.split()]
    commands = {
        "python": [sys.executable, "-c", "pass"],
        "import torch": [sys.executable, "-c", "import torch"],
        "mimbench --version": [sys.executable, "-m", "mimbench", "--version"],
        "mimbench run, one step": run,
    }
    times = take_turns({name: lambda words=words: _seconds(words) for name, words in commands.items()}, rounds)
    rows = [{"name": name, "seconds": statistics.median(found)} for name, found in times.items()]
    return {"rows": rows, "run": f"mimbench run {RUN}"}


def _seconds(words: list[str]) -> float:
    with tempfile.TemporaryDirectory() as home:
        begin = time.perf_counter()
        done = subprocess.run(words, cwd=home, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - begin
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed: {done.stderr.strip()[-500:]}")
    return seconds
