"""Commands on a GPU, as users call them."""

import json
from pathlib import Path

import pytest
import torch

from mimbench.cli import main

pytestmark = pytest.mark.gpu

TINY = "experiment=demo data=digits encoder.depth=4 budget.epochs=1 protocol=[knn]"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def accelerator(device: torch.device) -> str:
    return "trainer.accelerator=gpu" if device.type == "cuda" else "trainer.accelerator=cpu"


def test_a_run_in_bf16_trains_is_evaluated_and_repeats_itself(device: torch.device) -> None:
    words = [*TINY.split(), accelerator(device), "method=localmim", "trainer.precision=bf16-mixed"]
    losses = []
    for sweep in ("first", "second"):
        assert main(["run", *words, f"sweep={sweep}"]) == 0
        [record] = Path("runs", sweep).glob("*/record.json")
        found = json.loads(record.read_text())
        assert found["status"] == "finished"
        losses.append(found["metrics"]["train/loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_two_runs_share_a_gpu(device: torch.device) -> None:
    words = [*TINY.split(), accelerator(device), "method=mae", "seed=0,1", "hydra.launcher.slots=null"]
    words += ["hydra.launcher.slots_per_gpu=2"]
    assert main(["run", "-m", *words]) == 0
    assert len(list(Path("runs/demo").glob("*/record.json"))) == 2


def test_steps_are_measured_and_compared_with_transformers(device: torch.device) -> None:
    words = ["--rounds", "2", "--batch", "16", "--output", "step.json", *TINY.split(), "method=mae,mirl"]
    assert main(["bench", "step", "--device", device.type, "--transformers", *words]) == 0
    found = json.loads(Path("step.json").read_text())
    assert all(0 < row["mfu"] < 1 for row in found["rows"])
    assert all(baseline["speedup"] > 0 for baseline in found["baselines"])


def test_memory_is_compared_on_a_gpu(device: torch.device) -> None:
    if device.type != "cuda":
        pytest.skip("only a GPU's allocator tells its peak")
    assert main(["bench", "memory", "--batch", "16", "--output", "memory.json", *TINY.split(), "method=mae,mirl"]) == 0
    assert len(json.loads(Path("memory.json").read_text())["rows"]) == 2
