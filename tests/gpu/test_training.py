"""Trainings on a GPU: resumed, distributed and too large."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from tiny_runs import Do, Run
from torch import Tensor

from mimbench.cli import main
from mimbench.training import InterruptedRun

pytestmark = pytest.mark.gpu


def run_on(device: torch.device, directory: Path, **options: Any) -> Run:
    accelerator = "gpu" if device.type == "cuda" else "cpu"
    return Run(directory, options={"trainer_options": {"accelerator": accelerator, "devices": 1} | options})


def trained(run: Run) -> dict[str, Tensor]:
    run.train()
    return {name: value.detach().cpu() for name, value in run.weights.items()}


def deviation(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> float:
    assert found.keys() == wanted.keys()
    return max(float((found[name] - wanted[name]).abs().max()) for name in wanted)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_resumed_run_deviates_no_more_than_a_repeated_one(
    device: torch.device, precision: str, tmp_path: Path
) -> None:
    """Bit-identical where the device computes the same twice; some of a GPU's sums have no fixed order."""
    first, second = (trained(run_on(device, tmp_path / name, precision=precision)) for name in ("first", "second"))
    spread = deviation(first, second)
    print(f"two equal runs deviate by {spread:g}")
    assert spread < 1e-3
    stop = Do("on_train_batch_end", 4, lambda *_: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(InterruptedRun):
        run_on(device, tmp_path / "parts", precision=precision).train([stop])
    resumed = trained(run_on(device, tmp_path / "parts", precision=precision))
    assert deviation(resumed, first) <= 10 * spread


STRATEGIES = {
    "ddp": lambda device: DDPStrategy(process_group_backend="nccl" if device.type == "cuda" else "gloo"),
    "fsdp2": lambda device: ModelParallelStrategy(
        data_parallel_size=1,
        tensor_parallel_size=1,
        save_distributed_checkpoint=False,
        process_group_backend="nccl" if device.type == "cuda" else "gloo",
    ),
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_rank_of_a_distributed_strategy_trains_like_a_single_process(
    device: torch.device, strategy: str, tmp_path: Path
) -> None:
    single = run_on(device, tmp_path / "single").train()
    distributed = run_on(device, tmp_path / strategy, strategy=STRATEGIES[strategy](device)).train()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    assert distributed.steps == single.steps
    assert distributed.metrics["val/loss"] == pytest.approx(single.metrics["val/loss"], rel=1e-4)


def test_a_batch_that_does_not_fit_is_answered_in_one_line(
    device: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if device.type != "cuda":
        pytest.skip("only a GPU's memory is limited")
    monkeypatch.chdir(tmp_path)
    words = "experiment=demo data=digits method=mae encoder.depth=48 encoder.width=384 optim.batch_size=1024"
    torch.cuda.set_per_process_memory_fraction(0.03)
    try:
        assert main(["run", *words.split(), "budget.epochs=1", "protocol=[]"]) == 2
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    [line] = [line for line in capfd.readouterr().err.splitlines() if line.startswith("mimbench")]
    assert "1024 images at a time" in line
    assert "accumulate_grad_batches=2" in line
    assert "GiB" in line
