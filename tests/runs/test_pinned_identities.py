"""Identities do not change between versions, so that finished runs are found again."""

import json
import shutil
from pathlib import Path

import hydra
import pytest
import yaml

from mimbench.cli import main
from mimbench.experiments.config import config_directory, resolve
from mimbench.runs.identity import identity

# By the version that had them first. The entries of a released version are never changed.
PINNED: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("identities.json").read_text())
RUNS_0_1_0 = Path(__file__).parents[1] / "runs_0.1.0" / "demo"
INTERRUPTED = next(RUNS_0_1_0.with_name("interrupted").iterdir())
# Results of the same run by 0.1.0 (commit c7bb743) without an interruption, on one thread of an x86-64 CPU.
WHOLE = {"train/loss": 0.641537606716156, "val/loss": 0.6276986598968506, "knn-v1": 0.43015521064301554}


@pytest.mark.parametrize(
    ("overrides", "expected"), [pair for pinned in PINNED.values() for pair in pinned.items()], ids=str
)
def test_configurations_keep_their_identities(overrides: str, expected: str) -> None:
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        assert identity(resolve(hydra.compose("run", overrides.split()))) == expected


def test_every_method_experiment_and_dataset_is_pinned() -> None:
    words = [word for pinned in PINNED.values() for overrides in pinned for word in overrides.split()]
    for group in ("method", "experiment", "data", "target", "masker"):
        names = {path.stem for path in (Path(config_directory()) / group).glob("*.yaml")}
        assert names - {word.partition("=")[2] for word in words if word.startswith(f"{group}=")} == set()


@pytest.mark.parametrize("run", sorted(RUNS_0_1_0.iterdir()), ids=lambda run: run.name)
def test_runs_of_0_1_0_have_the_identity_of_their_configuration(run: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert identity(config) == json.loads((run / "record.json").read_text())["identity"]


@pytest.mark.parametrize("run", sorted(RUNS_0_1_0.iterdir()), ids=lambda run: run.name)
def test_runs_of_0_1_0_are_found_as_finished(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(RUNS_0_1_0, tmp_path / "runs" / "demo")
    monkeypatch.chdir(tmp_path)
    before = (run / "record.json").read_bytes()
    overrides = json.loads(before)["overrides"]
    assert main(["run", "experiment=demo", *overrides]) == 0
    assert f"{run.name} has finished before" in capsys.readouterr().out
    assert (tmp_path / "runs" / "demo" / run.name / "record.json").read_bytes() == before


def test_an_interrupted_run_of_0_1_0_is_resumed_as_if_it_had_not_been_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run stopped at step 48 of 720, within its third epoch."""
    shutil.copytree(INTERRUPTED, tmp_path / "runs" / "old" / INTERRUPTED.name)
    monkeypatch.chdir(tmp_path)
    overrides = json.loads((INTERRUPTED / "record.json").read_text())["overrides"]
    assert main(["status", "runs/old"]) == 0
    assert "interrupted" in capsys.readouterr().out
    assert main(["run", *overrides]) == 0
    record = json.loads((tmp_path / "runs" / "old" / INTERRUPTED.name / "record.json").read_text())
    assert (record["status"], record["identity"]) == ("finished", INTERRUPTED.name.rpartition("-")[2])
    metrics = record["metrics"]
    assert {name: metrics[name] for name in ("train/loss", "val/loss")} == pytest.approx(
        {name: WHOLE[name] for name in ("train/loss", "val/loss")}, rel=1e-3
    )
    assert metrics["knn-v1"]["accuracy"] == pytest.approx(WHOLE["knn-v1"], abs=0.01)
    lines = (tmp_path / "runs" / "old" / INTERRUPTED.name / "metrics.csv").read_text().splitlines()[1:]
    steps = [int(line.split(",")[0]) for line in lines]
    assert steps == sorted(steps)
    assert main(["report", "runs/old"]) == 0
