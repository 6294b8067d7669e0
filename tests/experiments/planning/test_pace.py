"""Estimates of images per second."""

import json
from pathlib import Path
from typing import Any

import pytest

from mimbench.experiments.planning.pace import SHORTEST, MeasuredRun, assume_pace, measured_pace, read_finished_runs

KEY = ("mae", "vit_base", "bf16-mixed")


def run(flops: float, rate: float, device: str = "H100", key: tuple[str, str, str] = KEY) -> MeasuredRun:
    return MeasuredRun(key, flops, rate, device)


def test_an_assumed_pace_is_a_share_of_the_peak() -> None:
    pace = assume_pace("h100", 0.4, 58.7e9, "bf16-mixed")
    assert pace.images_per_second == pytest.approx(0.4 * 989e12 / 58.7e9)
    assert "40% of 9.89e+14 FLOP/s (h100, bf16-mixed)" in pace.source


def test_float32_does_not_use_tensor_cores() -> None:
    assert assume_pace("a100", 0.5, 1e9, "32-true").images_per_second == pytest.approx(0.5 * 19.5e12 / 1e9)


@pytest.mark.parametrize(("gpu", "mfu", "hint"), [("abacus", 0.4, "abacus"), ("h100", 0.0, "mfu"), ("h100", 40, "mfu")])
def test_unknown_gpus_and_invalid_shares_are_rejected(gpu: str, mfu: float, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        assume_pace(gpu, mfu, 1e9, "32-true")


def test_runs_of_equal_cost_give_their_median_pace() -> None:
    pace = measured_pace([run(1e9, 100), run(1e9, 300), run(1e9, 200), run(5e8, 9999)], KEY, 1e9)
    assert pace is not None
    assert pace.images_per_second == 200
    assert pace.source == "measured: 3 runs on H100"


def test_runs_of_other_cost_are_scaled_by_flops() -> None:
    pace = measured_pace([run(1e9, 100)], KEY, 2e9)
    assert pace is not None
    assert pace.images_per_second == 50
    assert pace.source.startswith("scaled by FLOPs")


def test_runs_too_short_to_measure_are_ignored() -> None:
    short = MeasuredRun(KEY, 1e9, 3, "H100", seconds=SHORTEST - 1)
    assert measured_pace([short], KEY, 1e9) is None
    pace = measured_pace([run(1e9, 100), short], KEY, 1e9)
    assert pace is not None
    assert (pace.images_per_second, pace.source) == (100, "measured: 1 run on H100")


@pytest.mark.parametrize(("device", "kind"), [("CPU (2 threads)", "CPU"), ("NVIDIA H100 80GB HBM3", "GPU")])
def test_a_pace_says_which_kind_of_device_it_is_from(device: str, kind: str) -> None:
    pace = measured_pace([run(1e9, 100, device)], KEY, 1e9)
    assert pace is not None
    assert pace.kind == kind


def test_only_runs_on_the_last_device_are_used() -> None:
    pace = measured_pace([run(1e9, 100, "A100"), run(1e9, 10, "CPU")], KEY, 1e9)
    assert pace is not None
    assert pace.images_per_second == 10


@pytest.mark.parametrize(
    "key", [("mirl", *KEY[1:]), ("mae", "vit_large", "bf16-mixed"), ("mae", "vit_base", "32-true")]
)
def test_runs_of_another_method_encoder_or_precision_are_ignored(key: tuple[str, str, str]) -> None:
    assert measured_pace([run(1e9, 100, key=key)], KEY, 1e9) is None


def write(directory: Path, finished: str, status: str = "finished", precision: str = "32-true", **cost: Any) -> None:
    directory.mkdir(parents=True)
    record = {
        "schema": 1,
        "identity": "0" * 12,
        "name": directory.name,
        "started": "",
        "status": status,
        "finished": finished,
        "axes": {"method": "mae", "encoder": "vit_base", "depth": 12, "data": "photos", "seed": 0},
        "cost": {"images_seen": 1000, "device_seconds": 20.0, "training_flops_per_image": 3e9} | cost,
        "environment": {"device": "H100"},
    }
    (directory / "record.json").write_text(json.dumps(record))
    text = f"finetune:\n  precision: none\ntrainer:\n  devices: 1\n  precision: {precision}\n  compile: false\n"
    (directory / "config.yaml").write_text(text)


def test_paces_of_finished_runs_are_read_from_all_sweeps_in_order(tmp_path: Path) -> None:
    write(tmp_path / "a" / "late", "2024-02-02", images_seen=4000)
    write(tmp_path / "b" / "early", "2024-01-01", precision="bf16-mixed")
    write(tmp_path / "b" / "failed", "2024-01-03", status="failed")
    write(tmp_path / "b" / "untrained", "2024-01-03", device_seconds=None)
    (tmp_path / "b" / "broken").mkdir()
    (tmp_path / "b" / "broken" / "record.json").write_text("{")
    early, late = read_finished_runs(tmp_path)
    assert early == MeasuredRun(("mae", "vit_base", "bf16-mixed"), 3e9, 50.0, "H100")
    assert late == MeasuredRun(("mae", "vit_base", "32-true"), 3e9, 200.0, "H100")
    assert (early.seconds, early.is_short) == (20.0, False)
