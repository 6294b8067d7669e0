"""Offline runs are uploaded completely and once."""

import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from mimbench.cli.sync import main
from mimbench.trackers.run_info import RunInfo
from mimbench.trackers.wandb_logger import wandb_logger


def offline(directory: Path, identity: str, steps: range, failed: bool = False) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    logger = wandb_logger(
        RunInfo(identity, "name", "sweep", "pretrain", directory, {"seed": 0}, {"a": 1}), offline=True
    )
    for step in steps:
        logger.log_metrics({"train/loss": 10.0 - step}, step)
    logger.finish(failed)


def steps(run: dict[str, Any]) -> list[int]:
    assert all(row["_step"] == row["trainer/global_step"] for row in run["history"])
    return [row["_step"] for row in run["history"]]


def test_segments_of_a_requeued_run_become_one_run_with_continuous_steps(
    server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    offline(tmp_path / "s" / "one", "aaaaaaaaaaaa", range(9, 50, 10), failed=True)
    time.sleep(1.1)  # folders of segments are named by the second
    offline(tmp_path / "s" / "one", "aaaaaaaaaaaa", range(59, 100, 10))
    offline(tmp_path / "s" / "two", "bbbbbbbbbbbb", range(0, 3))
    assert main([str(tmp_path / "s")]) == 0
    assert capsys.readouterr().out.count("uploaded ") == 2
    assert steps(server.runs["aaaaaaaaaaaa"]) == list(range(9, 100, 10))
    assert steps(server.runs["bbbbbbbbbbbb"]) == list(range(3))
    assert server.runs["aaaaaaaaaaaa"]["exit"] == 0
    assert server.runs["aaaaaaaaaaaa"]["groupName"] == "sweep"
    before = {name: list(run["history"]) for name, run in server.runs.items()}
    assert main([str(tmp_path / "s")]) == 0
    assert capsys.readouterr().out.count("uploaded before") == 2
    assert {name: run["history"] for name, run in server.runs.items()} == before


def test_a_run_that_still_runs_is_left_alone(server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    offline(tmp_path / "run", "aaaaaaaaaaaa", range(2))
    with FileLock(tmp_path / "run" / ".lock"):
        assert main([str(tmp_path)]) == 0
    assert "still running" in capsys.readouterr().out
    assert not server.runs


def test_errors_say_why_nothing_can_be_uploaded(
    no_key: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "nowhere")]) == 2
    assert main([str(tmp_path)]) == 2
    assert "no offline runs" in capsys.readouterr().err
    offline(tmp_path / "run", "aaaaaaaaaaaa", range(2))
    assert main([str(tmp_path)]) == 2
    assert "no API key" in capsys.readouterr().err
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert main([str(tmp_path)]) == 2
    assert "does not answer" in capsys.readouterr().err
