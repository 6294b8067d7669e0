"""`mimbench run` from the call to the finished directory."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import wandb
import yaml
from hydra.core.global_hydra import GlobalHydra
from safetensors.torch import load_file

from mimbench.cli import main

SMALL = [
    "data=digits",
    "encoder.width=32",
    "method.dim=32",
    "method.num_blocks=1",
    "method.num_heads=4",
    "callbacks.knn=null",
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    GlobalHydra.instance().clear()


def run(*words: str) -> int:
    GlobalHydra.instance().clear()
    return main(["run", *SMALL, "protocol=[knn]", *words])


def only(sweep: Path) -> tuple[Path, dict[str, Any]]:
    (path,) = sweep.glob("*/record.json")
    return path.parent, json.loads(path.read_text())


def test_run_leaves_a_complete_directory_and_is_not_done_twice(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("budget.epochs=2", "sweep=a") == 0
    directory, record = only(tmp_path / "runs" / "a")
    assert record["status"] == "finished"
    assert {"method", "encoder", "depth", "data", "seed"} <= record["axes"].keys()
    assert 0 <= record["metrics"]["knn-v1"]["accuracy"] <= 1
    images = 2 * 4 * 256  # two epochs of four whole batches
    assert record["cost"]["images_seen"] == images
    assert record["cost"]["training_flops"] == images * record["cost"]["training_flops_per_image"]
    assert yaml.safe_load((directory / "config.yaml").read_text())["encoder"]["width"] == 32
    names = {row.split(",")[1] for row in (directory / "metrics.csv").read_text().splitlines()[1:]}
    assert {"train/loss", "val/loss", "lr", "throughput"} <= names
    assert (directory / "figures" / "reconstructions.png").stat().st_size > 1000
    assert json.loads((directory / "evaluation" / "knn-v1.json").read_text()) == record["metrics"]["knn-v1"]

    before = (directory / "record.json").read_bytes()
    assert run("budget.epochs=2", "sweep=a", "trainer.accumulate_grad_batches=2") == 0
    told = capfd.readouterr().out
    assert f"has finished: kNN {100 * record['metrics']['knn-v1']['accuracy']:.1f} %" in told
    assert f"Its directory: {directory.relative_to(tmp_path)}" in told
    assert "nothing to do" in told
    assert (directory / "record.json").read_bytes() == before


def test_exported_encoder_loads_into_bare_timm(tmp_path: Path) -> None:
    assert run("method=untrained", "sweep=a") == 0
    directory, record = only(tmp_path / "runs" / "a")
    assert record["axes"]["method"] == "untrained"
    size = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 4, "num_heads": 4, "num_classes": 0}
    trunk = timm.models.VisionTransformer(**size)
    trunk.load_state_dict(load_file(directory / "encoder.safetensors"), strict=True)


def test_run_starts_from_the_weights_of_another(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("budget.epochs=1", "seed=1", "sweep=first") == 0
    first = only(tmp_path / "runs" / "first")[0]
    assert run("method=untrained", f"weights={first}", "sweep=second") == 0
    second = only(tmp_path / "runs" / "second")[0]
    expected, found = (load_file(directory / "encoder.safetensors") for directory in (first, second))
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert run("method=untrained", "encoder.width=64", f"weights={first}", "sweep=third") == 2
    assert "another encoder" in capfd.readouterr().err
    assert not (tmp_path / "runs" / "third").exists()


def test_all_methods_start_from_the_untrained_encoder(tmp_path: Path) -> None:
    assert run("method=untrained", "sweep=untrained") == 0
    expected = load_file(only(tmp_path / "runs" / "untrained")[0] / "encoder.safetensors")
    for method in ("mae", "deepmim", "localmim", "mirl"):
        assert run(f"method={method}", "budget.epochs=1", "optim.base_lr=0.0", f"sweep={method}") == 0
        found = load_file(only(tmp_path / "runs" / method)[0] / "encoder.safetensors")
        assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_diverged_run_says_where_and_is_recorded_as_failed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("budget.epochs=3", "optim.base_lr=1e18", "optim.warmup_epochs=0", "sweep=a") == 1
    message = capfd.readouterr().err
    assert "step" in message
    assert "checkpoint" in message
    assert "Traceback" not in message
    record = only(tmp_path / "runs" / "a")[1]
    assert record["status"] == "failed"
    assert record["error"]["type"] == "NonFiniteLossError"


def test_checkpoint_of_another_configuration_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("budget.epochs=1", "sweep=a") == 0
    checkpoint = only(tmp_path / "runs" / "a")[0] / "checkpoints" / "last.ckpt"
    assert run("budget.epochs=1", "optim.base_lr=5e-4", "sweep=b", f"resume={checkpoint}") == 2
    assert "optim.base_lr" in capfd.readouterr().err
    assert not (tmp_path / "runs" / "b").exists()


def test_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    words = ["budget.epochs=6", "data.batch_size=32", "optim.batch_size=32", "protocol=[knn]"]
    assert run(*words, "sweep=whole") == 0
    expected = load_file(only(tmp_path / "runs" / "whole")[0] / "encoder.safetensors")
    command = [sys.executable, "-m", "mimbench", "run", *SMALL, *words, "sweep=parts"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("step"):
            process.send_signal(signal.SIGINT)
            break
    process.communicate(timeout=60)
    assert process.returncode == 130
    directory, record = only(tmp_path / "runs" / "parts")
    assert record["status"] == "interrupted"
    assert run(*words, "sweep=parts") == 0
    found = load_file(directory / "encoder.safetensors")
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert only(tmp_path / "runs" / "parts")[1]["status"] == "finished"


def test_offline_wandb_run_carries_the_identity_and_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("WANDB_SILENT", "true")
    assert run("budget.epochs=1", "sweep=a", "logger=[wandb]") == 0
    directory, record = only(tmp_path / "runs" / "a")
    (log,) = directory.glob(f"wandb/offline-run-*-{record['identity']}-a/run-{record['identity']}-a.wandb")
    content = log.read_bytes()
    assert b"knn-v1/accuracy" in content
    assert b"optim.base_lr" in content
    assert wandb.run is None


def test_two_processes_do_not_work_on_one_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["budget.epochs=400", "protocol=[knn]", "sweep=a"]
    first = subprocess.Popen(
        [sys.executable, "-m", "mimbench", "run", *SMALL, *words], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    try:
        assert first.stdout is not None
        next(line for line in first.stdout if line.startswith("step"))
        assert run(*words) == 2
        assert "Another process" in capfd.readouterr().err
    finally:
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=60)


def test_sweep_goes_on_past_failed_and_impossible_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["-m", *SMALL, "protocol=[knn]", "budget.epochs=1", "sweep=s", "optim.warmup_epochs=0"]
    axes = ["method=mae,mirl", "encoder.depth=5", "optim.base_lr=1e-3,1e18"]
    assert main(["run", *words, *axes, "hydra.launcher.slots=2"]) == 1
    told = capfd.readouterr()
    assert "MIRL needs an even depth" in told.out
    assert "2 runs in" in told.out
    assert "optim.base_lr  " in told.out  # an axis and its values
    assert told.out.index("2 runs in") < told.out.index("FAILED")
    assert "mimbench report" in told.err
    assert "mimbench retry" in told.err
    records = [json.loads(p.read_text()) for p in (tmp_path / "runs" / "s").glob("*/record.json")]
    assert {r["status"] for r in records if r["axes"]["optim.base_lr"] == 1e18} == {"failed"}
    assert {r["status"] for r in records if r["axes"]["optim.base_lr"] == 1e-3} == {"finished"}
    manifest = json.loads((tmp_path / "runs" / "s" / "sweep.json").read_text())
    assert len(manifest["runs"]) == 4
    assert sum(run["refused"] is not None for run in manifest["runs"]) == 2

    # What is left out is no failure.
    GlobalHydra.instance().clear()
    assert main(["run", *words, "method=mae,mirl", "encoder.depth=5", "optim.base_lr=1e-3"]) == 0
    told = capfd.readouterr()
    assert "MIRL needs an even depth" in told.out
    assert "Next:" not in told.out  # nothing was left to do

    # Again, with one more seed and without what cannot work: finished runs are skipped.
    began = time.time()
    GlobalHydra.instance().clear()
    assert main(["run", *words, "encoder.depth=5", "optim.base_lr=1e-3", "seed=0,1"]) == 0
    told = capfd.readouterr()
    assert re.search(r"done   mae-\S+  \d+ s  kNN \d+\.\d %", told.out)
    assert told.out.rstrip().endswith("Next: mimbench report runs/s")
    fresh = [p for p in (tmp_path / "runs" / "s").glob("*/record.json") if p.stat().st_mtime > began]
    assert len(fresh) == 1
    assert main(["report", str(tmp_path / "runs" / "s"), "--no-figures"]) == 0
    assert "failed" in capfd.readouterr().out
