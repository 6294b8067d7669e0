"""The share of the time of a sweep that its runs spend in training and evaluation; the rest is start-up and waiting.

    python benchmarks/sweep_share.py                                 # 16 runs of the demo
    python benchmarks/sweep_share.py method=mae seed=0,1 budget.epochs=1

One run at a time, in a temporary folder, on this machine.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mimbench.runs.directory import RECORD

DEMO = ("method=mae,deepmim,localmim,mirl", "seed=0,1,2,3")


def main() -> None:
    """Prints the share, and the overhead per run in seconds."""
    arguments = sys.argv[1:] or list(DEMO)
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, "-m", "mimbench", "run", "-m", "experiment=demo", *arguments]
        begin = time.perf_counter()
        subprocess.run([*command, f"paths.runs={runs}", "hydra.launcher.slots=1"], check=True)
        elapsed = time.perf_counter() - begin
        costs = [json.loads(path.read_text())["cost"] for path in Path(runs).rglob(RECORD)]
    busy = sum(cost["train_seconds"] + cost["evaluation_seconds"] for cost in costs)
    overhead = (elapsed - busy) / len(costs)
    share = f"{busy / elapsed:.0%} training and evaluation, {overhead:.1f} s overhead per run"
    print(f"{len(costs)} runs, {elapsed:.0f} s: {share}")


if __name__ == "__main__":
    main()
