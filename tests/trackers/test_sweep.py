"""`mimbench run`, `evaluate` and `analyze` with trackers and a stub of the W&B server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra

from mimbench.cli import main
from mimbench.core.dotted import flatten
from mimbench.trackers.wandb_panels import names, prefixes

TINY = [
    "data=digits",
    "encoder=vit_micro",
    "encoder.width=32",
    "method.dim=32",
    "method.num_blocks=1",
    "method.num_heads=4",
    "budget.epochs=1",
    "callbacks.knn.every_n_epochs=1",
]


@pytest.fixture(autouse=True)
def _hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()


def missing(server: Any) -> list[str]:
    """Metrics and prefixes of panels that no run has logged."""
    logged = server.logged()
    unmatched = [prefix for prefix in prefixes() if not any(name.startswith(prefix) for name in logged)]
    return [name for name in names() if name not in logged] + unmatched


def test_run_logs_all_metrics_of_the_panels_to_wandb_and_tensorboard(server: Any, tmp_path: Path) -> None:
    words = ["protocol=[knn,linear,layerwise]", "sweep=s", "logger=[wandb,tensorboard]"]
    assert main(["run", *TINY, *words]) == 0
    (path,) = tmp_path.glob("runs/s/*/record.json")
    record = json.loads(path.read_text())
    run = server.runs[f"{record['identity']}-s"]
    assert (run["displayName"], run["groupName"], run["jobType"]) == (record["name"], "s", "pretrain")
    assert {f"{axis}:{value}" for axis, value in record["axes"].items()} == set(run["tags"])
    config = yaml.safe_load((path.parent / "config.yaml").read_text())
    assert flatten(config).keys() <= run["config"].keys()
    assert run["summary"]["knn-v1/accuracy"] == record["metrics"]["knn-v1"]["accuracy"]
    assert run["summary"]["cost/training_flops"] == record["cost"]["training_flops"]
    assert run["exit"] == 0
    assert missing(server) == []
    assert not server.unknown
    assert list(path.parent.glob("tensorboard/events.*"))


def test_invalid_options_are_refused_before_anything_is_written(
    no_key: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mimbench.experiments.trackers.find_spec", lambda name: None)
    assert main(["run", *TINY, "logger=tensorboard"]) == 2
    assert "mimbench[tensorboard]" in capsys.readouterr().err
    for word, message in (
        ("logger.wandb.offline=false", "needs a key"),
        ("logger.wandb.offline=maybe", "true or false"),
        ("logger.wandb.log_model=all", "true or false"),
    ):
        assert main(["run", *TINY, "logger=wandb", word]) == 2
        assert message in capsys.readouterr().err
    assert main(["run", *TINY, "logger=wandbb"]) == 2
    assert "wandb" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_sweep_online_its_evaluation_and_its_analysis_are_runs_of_one_group(server: Any, tmp_path: Path) -> None:
    words = ["seed=0,1", "protocol=[knn,linear,layerwise]", "sweep=s", "logger=wandb"]
    assert _process(tmp_path, "run", "-m", *TINY, *words) == 0
    runs = sorted(str(path.parent) for path in tmp_path.glob("runs/s/*/record.json"))
    assert _process(tmp_path, "evaluate", *runs[:1], "protocol=fewshot", "logger=wandb") == 0
    assert _process(tmp_path, "analyze", runs[0], "--only", "rank", "--images", "50", "logger=wandb") == 0
    jobs = sorted(run["jobType"] for run in server.runs.values())
    assert jobs == ["analysis", "evaluate", "pretrain", "pretrain"]
    assert {run["groupName"] for run in server.runs.values()} == {"s"}
    assert {run["exit"] for run in server.runs.values()} == {0}
    assert missing(server) == []


@pytest.mark.slow
def test_sync_uploads_an_offline_sweep_as_if_it_had_been_online(
    no_key: None, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["seed=0,1", "protocol=[knn,linear,layerwise]", "sweep=s", "logger=wandb"]
    assert _process(tmp_path, "run", "-m", *TINY, *words, "logger.wandb.log_model=true") == 0
    assert not server.runs
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    assert _process(tmp_path, "sync", "runs/s") == 0
    records = [json.loads(path.read_text()) for path in tmp_path.glob("runs/s/*/record.json")]
    assert server.runs.keys() == {f"{record['identity']}-s" for record in records}
    assert {run["exit"] for run in server.runs.values()} == {0}
    assert missing(server) == []
    assert {entry["state"] for entry in server.artifacts.values()} == {"COMMITTED"}


def _process(home: Path, *words: str) -> int:
    return subprocess.run([sys.executable, "-m", "mimbench", *words], cwd=home, timeout=400).returncode
