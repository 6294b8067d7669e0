"""Finished runs as teachers."""

from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
import yaml

from mimbench.experiments.build import build_model, check_parts
from mimbench.experiments.config import config_directory, resolve
from mimbench.experiments.teachers import mae_of_run
from mimbench.methods import DeepMIM
from mimbench.runs.records import Record, write
from mimbench.targets import HybridTarget

SMALL = ["method.dim=16", "method.num_blocks=1", "method.num_heads=2", "encoder.width=24", "encoder.num_heads=2"]


def compose(*overrides: str) -> dict[str, Any]:
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        return resolve(hydra.compose("run", [*SMALL, *overrides]))


def finished_run(directory: Path, *overrides: str, status: str = "finished") -> Path:
    config = compose(*overrides)
    _, method = build_model(config)
    (directory / "checkpoints").mkdir(parents=True)
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    if method is not None:
        with torch.no_grad():
            for parameter in method.parameters():
                parameter.add_(0.5)  # as trained: differs from new initial weights
        torch.save({"state_dict": method.state_dict()}, directory / "checkpoints" / "last.ckpt")
    axes = {"method": "mae", "encoder": "vit_micro", "depth": 4, "data": "photos", "seed": 0}
    write(Record(identity="0", name="run", status=status, axes=axes, started="2024-01-01T00:00:00"), directory)
    return directory


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return finished_run(tmp_path / "run", "seed=7")


def test_all_weights_are_those_of_the_run(run: Path):
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    loaded = mae_of_run(run, 32).state_dict()
    assert loaded.keys() == saved.keys()
    assert all(torch.equal(loaded[name], saved[name]) for name in saved)


def test_a_teacher_does_not_change_the_weights_of_the_student(run: Path):
    overrides = ["method=deepmim", "seed=1"]
    _, without_teacher = build_model(compose(*overrides))
    _, student = build_model(compose(*overrides, "target=hybrid", f"target.teacher.run={run}"))
    assert isinstance(student, DeepMIM)
    assert all(isinstance(target, HybridTarget) for target in student.targets)
    with_teacher = student.state_dict()
    assert all(torch.equal(with_teacher[name], value) for name, value in without_teacher.state_dict().items())


def test_a_sweep_is_planned_without_reading_weights(run: Path):
    (run / "checkpoints" / "last.ckpt").unlink()
    overrides = ["method=deepmim", "target=hybrid", f"target.teacher.run={run}"]
    assert check_parts(compose(*overrides)) == (4, None)
    refused = check_parts(compose(*overrides, "data.patch_size=4"))[1]
    assert refused is not None
    assert "patches of 8 px" in refused
    refused = check_parts(compose(*overrides, "data.image_size=64"))[1]
    assert refused is not None
    assert "32 px" in refused


def test_alphas_of_the_command_line_reach_the_decoders(run: Path):
    overrides = ["method=deepmim", "target=hybrid", f"target.teacher.run={run}", "target.alphas=[0,0.5,1]"]
    _, student = build_model(compose(*overrides))
    assert isinstance(student, DeepMIM)
    assert [target.alpha for target in student.targets] == [0, 0.5, 1]


def test_a_missing_run_is_rejected():
    with pytest.raises(ValueError, match=r"target\.teacher\.run=runs/SWEEP/RUN"):
        mae_of_run(None, 32)


@pytest.mark.parametrize("status", ["running", "failed", "interrupted"])
def test_unfinished_runs_are_rejected(tmp_path: Path, status: str):
    with pytest.raises(ValueError, match="not a finished run"):
        mae_of_run(finished_run(tmp_path / "run", status=status), 32)


def test_directories_without_a_run_are_rejected(tmp_path: Path):
    with pytest.raises(ValueError, match="not a finished run"):
        mae_of_run(tmp_path, 32)


@pytest.mark.parametrize("method", ["deepmim", "mirl"])
def test_other_methods_are_rejected(tmp_path: Path, method: str):
    with pytest.raises(ValueError, match=f"pre-trained {method}; hybrid targets need an MAE"):
        mae_of_run(finished_run(tmp_path / "run", f"method={method}"), 32)


def test_an_mae_with_other_targets_is_rejected(tmp_path: Path):
    run = finished_run(tmp_path / "run", "target=raw_pixel")
    refused = check_parts(compose("method=deepmim", "target=hybrid", f"target.teacher.run={run}"))[1]
    assert refused is not None
    assert "predicts standardized pixels" in refused


def test_other_image_sizes_are_rejected(run: Path):
    with pytest.raises(ValueError, match="saw images of 32 px, this one has 64 px"):
        mae_of_run(run, 64)


def test_missing_weights_are_named(run: Path):
    (run / "checkpoints" / "last.ckpt").unlink()
    with pytest.raises(ValueError, match=r"last\.ckpt is missing"):
        mae_of_run(run, 32)


def test_weights_that_do_not_fit_are_rejected(run: Path):
    path = run / "checkpoints" / "last.ckpt"
    state = torch.load(path, weights_only=True)["state_dict"]
    torch.save({"state_dict": {name: value for name, value in state.items() if "mask_token" not in name}}, path)
    with pytest.raises(ValueError, match="does not fit the run's own"):
        mae_of_run(run, 32)
