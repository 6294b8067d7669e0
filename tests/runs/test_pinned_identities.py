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

PINNED: dict[str, str] = json.loads(Path(__file__).with_name("identities.json").read_text())
RUNS_0_1_0 = Path(__file__).parents[1] / "runs_0.1.0" / "demo"


@pytest.mark.parametrize("overrides", PINNED)
def test_configurations_keep_their_identities(overrides: str) -> None:
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        assert identity(resolve(hydra.compose("run", overrides.split()))) == PINNED[overrides]


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
