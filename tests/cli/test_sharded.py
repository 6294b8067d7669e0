"""Training with weights sharded over two processes (FSDP2)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mimbench.cli import main

TINY = ["data=digits", "encoder.width=32", "method.dim=32", "method.num_blocks=1", "method.num_heads=4"]
TINY += ["callbacks.knn.every_n_epochs=1", "protocol=[knn]", "budget.epochs=2", "trainer.accelerator=cpu"]
# Sends the run's first process a signal in the middle of the first epoch, once.
STOP = """
import os, signal
from pathlib import Path
import lightning as L

class Stop(L.Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if batch_idx == 1 and trainer.is_global_zero and not Path("stopped").exists():
            Path("stopped").touch()
            os.kill(os.getpid(), signal.SIGUSR2)
"""


def run(home: Path, sweep: str, *words: str) -> int:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "mimbench", "run", *TINY, f"sweep={sweep}", "trainer.devices=2", *words]
    return subprocess.run(command, cwd=home, env=environment, check=False).returncode


@pytest.mark.slow
def test_shards_learn_what_copies_learn_and_go_on_exactly(tmp_path: Path) -> None:
    (tmp_path / "stop.py").write_text(STOP)
    tuning = ("protocol=[knn,finetune]", "finetune=small", "finetune.epochs=1")
    words = (*tuning, "trainer.strategy=fsdp2", "+callbacks.stop={_target_:stop.Stop}")
    assert run(tmp_path, "shards", *words) == 130
    assert run(tmp_path, "shards", *words) == 0
    assert run(tmp_path, "copies", *tuning, "trainer.strategy=ddp") == 0
    [shards], [copies] = (
        [path.parent for path in tmp_path.glob(f"runs/{s}/*/record.json")] for s in ("shards", "copies")
    )
    # Two numbers have one sum, in whatever order they come.
    assert (shards / "encoder.safetensors").read_bytes() == (copies / "encoder.safetensors").read_bytes()
    tuned = [json.loads(next(run.glob("evaluation/finetune-*.json")).read_text()) for run in (shards, copies)]
    assert tuned[0]["val_loss"] == tuned[1]["val_loss"]
    logged = [
        [row for row in (run / "metrics.csv").read_text().splitlines() if "throughput" not in row and "norm" not in row]
        for run in (shards, copies)
    ]
    assert logged[0] == logged[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [([], "2 or more devices in total"), (["trainer.devices=2", "optim.ema=0.99"], "keeps no moving average")],
)
def test_what_cannot_be_sharded_is_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *TINY, "trainer.strategy=fsdp2", *words]) == 2
    assert message in capsys.readouterr().err
