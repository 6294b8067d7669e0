"""Fixtures for tiny training runs; see `tiny_runs`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import BATCH, Do, Run, make_data, make_method
from trials import Trial

from mimbench.data import ImageDataModule
from mimbench.methods import MAE


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[..., Run]:
    """Creates a run in its own directory: `new_run("a", epochs=3, num_workers=2)`."""

    def make(name: str = "run", num_workers: int = 0, batch_size: int = BATCH, **options: Any) -> Run:
        return Run(tmp_path / name, options, num_workers, batch_size)

    return make


@pytest.fixture
def method() -> Callable[..., MAE]:
    return make_method


@pytest.fixture
def data() -> Callable[..., ImageDataModule]:
    return make_data


@pytest.fixture
def do() -> Callable[..., Do]:
    return partial(Do)


@pytest.fixture
def new_trial(tmp_path: Path) -> Callable[..., Trial]:
    """Creates a training with one process per rank: `new_trial("a", ranks=2, epochs=3, num_workers=2)`."""
    return lambda name, **options: Trial(tmp_path / name, **options)
