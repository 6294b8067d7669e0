"""Runs of a sweep that are forked from one process."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mimbench.cli import main

TINY = [
    *("run", "-m", "method=mae", "data=digits", "encoder.width=32", "encoder.depth=2", "method.dim=16"),
    *("method.num_blocks=1", "method.num_heads=2", "callbacks.knn=null", "protocol=[knn]", "budget.epochs=1"),
    *("optim.warmup_epochs=0", "seed=0,1", "hydra.launcher.slots=1"),
]


@pytest.mark.slow
def test_forked_runs_have_the_weights_of_started_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for fork in ("true", "false"):
        assert main([*TINY, f"hydra.launcher.fork={fork}", f"sweep=fork_{fork}"]) == 0
    runs = sorted(path.name for path in Path("runs/fork_true").iterdir() if path.is_dir())
    assert len(runs) == 2
    for name in runs:
        forked, started = Path("runs/fork_true", name), Path("runs/fork_false", name)
        for file in ("encoder.safetensors", "evaluation/knn-v1.json"):
            assert (forked / file).read_bytes() == (started / file).read_bytes()
        lines = [len((run / "log.txt").read_text().splitlines()) for run in (forked, started)]
        assert lines[0] == lines[1]  # such as warnings at the end of the process


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_of_forked_runs_saves_and_ends_all_processes(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-m", "mimbench", *TINY, "budget.epochs=1000", "hydra.launcher.fork=true", "sweep=s"]
    with subprocess.Popen(command, cwd=tmp_path, start_new_session=True) as sweep:
        _wait(lambda: list(tmp_path.glob("runs/s/*/progress.json")))
        [progress] = tmp_path.glob("runs/s/*/progress.json")
        sweep.send_signal(number)
        assert sweep.wait(60) == 130
    assert json.loads((progress.parent / "record.json").read_text())["status"] == "interrupted"
    assert (progress.parent / "checkpoints" / "last.ckpt").is_file()
    with pytest.raises(ProcessLookupError):
        os.kill(json.loads(progress.read_text())["pid"], 0)


def _wait(condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
