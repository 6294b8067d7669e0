"""`sweep.json` grows and never loses a run."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mimbench.runs.manifest import PlannedRun, merge_manifest


def planned(digits: str, refused: str | None = None, **axes: Any) -> PlannedRun:
    return PlannedRun(digits, f"run-{digits}", axes, [f"{key}={value}" for key, value in axes.items()], refused)


def read(directory: Path) -> dict[str, Any]:
    return json.loads((directory / "sweep.json").read_text())


def test_a_manifest_contains_its_runs_and_the_values_of_its_axes(tmp_path: Path) -> None:
    path = merge_manifest(
        tmp_path / "new", "demo", [planned("a", method="mae", seed=0), planned("b", method="mirl", seed=0)]
    )
    assert path == tmp_path / "new" / "sweep.json"
    manifest = read(tmp_path / "new")
    assert manifest["name"] == "demo"
    assert manifest["axes"] == {"method": ["mae", "mirl"], "seed": [0]}
    assert manifest["runs"][0] == {
        "identity": "a",
        "name": "run-a",
        "axes": {"method": "mae", "seed": 0},
        "overrides": ["method=mae", "seed=0"],
        "refused": None,
    }


def test_a_later_command_adds_runs_and_keeps_the_earlier_ones(tmp_path: Path) -> None:
    merge_manifest(tmp_path, "demo", [planned("a", seed=0), planned("b", seed=1)])
    merge_manifest(tmp_path, "demo", [planned("b", seed=1), planned("c", seed=2)])
    assert [run["identity"] for run in read(tmp_path)["runs"]] == ["a", "b", "c"]
    assert read(tmp_path)["axes"] == {"seed": [0, 1, 2]}


def test_the_newest_plan_of_a_run_is_kept(tmp_path: Path) -> None:
    merge_manifest(tmp_path, "demo", [planned("a", refused="MIRL needs an even depth.", seed=0)])
    assert read(tmp_path)["runs"][0]["refused"] == "MIRL needs an even depth."
    merge_manifest(tmp_path, "demo", [planned("a", seed=0)])
    assert read(tmp_path)["runs"][0]["refused"] is None


def test_a_failed_write_keeps_the_former_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    merge_manifest(tmp_path, "demo", [planned("a", seed=0)])
    before = (tmp_path / "sweep.json").read_text()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        merge_manifest(tmp_path, "demo", [planned("b", seed=1)])
    assert (tmp_path / "sweep.json").read_text() == before


def test_concurrent_commands_lose_no_run(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: merge_manifest(tmp_path, "demo", [planned(str(i), seed=i)]), range(24)))
    assert {run["identity"] for run in read(tmp_path)["runs"]} == {str(i) for i in range(24)}
