"""A sweep with two good runs, for tests that put a bad file into it."""

import shutil
from pathlib import Path

import pytest

RUNS_0_1_0 = Path(__file__).parents[1] / "runs_0.1.0" / "demo"


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """RUNS/demo with the finished runs of 0.1.0; the working directory is above it."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(RUNS_0_1_0, tmp_path / "runs" / "demo")).relative_to(tmp_path)


@pytest.fixture
def victim(sweep: Path) -> Path:
    """One of its runs."""
    return sorted(path for path in sweep.iterdir() if path.is_dir())[0]
