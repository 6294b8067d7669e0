"""Fake SLURM commands."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Puts a shell script first on PATH; returns the file to which it appends its arguments."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name: str, script: str) -> Path:
        calls = tmp_path / f"{name}.calls"
        (folder / name).write_text(f'#!/bin/sh\necho "$@" >> {calls}\n{script}\n')
        (folder / name).chmod(0o755)
        return calls

    return make
