"""Data that W&B's client sends for a run."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import wandb
from PIL import Image
from wandb.sdk.data_types._private import MEDIA_TMP

from mimbench.trackers.run_info import RunInfo
from mimbench.trackers.wandb_logger import RunLogger, wandb_logger

CURVES: Mapping[str, list[float]] = {"knn": [0.1, 0.2], "linear": [0.3, float("nan")]}


def begin(directory: Path, identity: str = "0123456789ab", **options: Any) -> RunLogger:
    directory.mkdir(exist_ok=True)
    axes, config = {"method": "mae", "seed": 0}, {"optim.base_lr": 0.1, "seed": 0}
    return wandb_logger(RunInfo(identity, "mae-s0", "sweep", "pretrain", directory, axes, config), **options)


def test_a_run_has_its_identity_sweep_job_axes_and_complete_configuration(server: Any, tmp_path: Path) -> None:
    logger = begin(tmp_path / "run")
    logger.log_metrics({"train/loss": 1.5, "epoch": 0}, 0)
    logger.finish(failed=False)
    run = server.runs["0123456789ab"]
    assert (run["displayName"], run["groupName"], run["jobType"]) == ("mae-s0", "sweep", "pretrain")
    assert sorted(run["tags"]) == ["method:mae", "seed:0"]
    config = {key: entry["value"] for key, entry in run["config"].items() if key != "_wandb"}
    assert config == {"optim.base_lr": 0.1, "seed": 0, "axes/method": "mae", "axes/seed": 0}
    assert run["history"][0]["train/loss"] == 1.5
    assert run["exit"] == 0
    assert not server.unknown


def test_a_failed_run_ends_with_exit_code_1(server: Any, tmp_path: Path) -> None:
    begin(tmp_path / "run").finish(failed=True)
    assert server.runs["0123456789ab"]["exit"] == 1
    assert wandb.run is None


def test_steps_of_a_requeued_online_run_are_continuous_and_unique(server: Any, tmp_path: Path) -> None:
    for steps in (range(0, 6), range(4, 10)):  # the checkpoint was older than the last logged step
        logger = begin(tmp_path / "run")
        for step in steps:
            logger.log_metrics({"train/loss": 10.0 - step}, step)
        logger.finish(failed=steps.start == 0)
    run = server.runs["0123456789ab"]
    rows = [(row["_step"], row["trainer/global_step"], row["train/loss"]) for row in run["history"]]
    assert rows == [(step, step, 10.0 - step) for step in range(10)]
    assert run["exit"] == 0


def test_curves_by_depth_have_depth_as_axis_and_leave_out_nan(server: Any, tmp_path: Path) -> None:
    logger = begin(tmp_path / "run")
    logger.log_metrics({"train/loss": 1.0}, 7)
    logger.log_curves("layerwise-v1", [0, 1], CURVES)
    logger.finish(failed=False)
    rows = [row for row in server.runs["0123456789ab"]["history"] if "layerwise-v1/depth" in row]
    assert [row["layerwise-v1/depth"] for row in rows] == [0, 1]
    assert [row["layerwise-v1/knn"] for row in rows] == [0.1, 0.2]
    assert [row.get("layerwise-v1/linear") for row in rows] == [0.3, None]


def test_images_and_weights_arrive(server: Any, tmp_path: Path) -> None:
    (tmp_path / "parent.safetensors").write_bytes(b"parent")
    (tmp_path / "encoder.safetensors").write_bytes(b"weights")
    Image.new("RGB", (4, 4)).save(tmp_path / "reconstructions.png")
    logger = begin(tmp_path / "run", log_model=True)
    logger.log_reconstructions(tmp_path / "reconstructions.png", 3)
    parent = ("ba9876543210", [tmp_path / "parent.safetensors"])
    logger.log_weights([tmp_path / "encoder.safetensors"], parent)
    logger.finish(failed=False)
    assert server.runs["0123456789ab"]["history"][0]["reconstructions"]["_type"] == "image-file"
    assert any("media/images/reconstructions" in path for path in server.uploads)
    states = {entry["artifactCollectionName"]: entry["state"] for entry in server.artifacts.values()}
    assert states["model-0123456789ab"] == states["model-ba9876543210"] == "COMMITTED"
    assert any(path.endswith("/encoder.safetensors") for path in server.uploads)


def test_media_do_not_depend_on_a_folder_that_another_forked_process_has_deleted(server: Any, tmp_path: Path) -> None:
    shutil.rmtree(MEDIA_TMP.name)
    logger = begin(tmp_path / "run")
    logger.log_curves("layerwise-v1", [0, 1], CURVES)
    logger.finish(failed=False)
    assert any("media/table/layerwise-v1" in path for path in server.uploads)


def test_without_a_key_the_run_stays_offline_and_says_so(
    no_key: None, server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = begin(tmp_path / "run", log_model=True)  # Lightning's logger does not allow this offline
    (tmp_path / "encoder.safetensors").write_bytes(b"weights")
    logger.log_weights([tmp_path / "encoder.safetensors"])
    logger.finish(failed=False)
    assert "no API key" in capsys.readouterr().err
    assert not server.runs
    assert len(list(tmp_path.glob("run/wandb/offline-run-*/*.wandb"))) == 1
    with pytest.raises(ValueError, match="needs a key"):
        begin(tmp_path / "run", offline=False)


def test_without_a_server_the_run_stays_offline_and_says_so(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    wandb.teardown()
    begin(tmp_path / "run", timeout=1.0).finish(failed=False)
    assert "stays offline" in capsys.readouterr().err
    assert len(list(tmp_path.glob("run/wandb/offline-run-*"))) == 1
