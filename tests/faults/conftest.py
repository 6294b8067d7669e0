"""A place for trainings that are killed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from trials import Trial


@pytest.fixture
def new_trial(tmp_path: Path) -> Callable[..., Trial]:
    """Makes a training in processes: `new_trial("a", ranks=2, epochs=3, num_workers=2)`."""
    return lambda name, **options: Trial(tmp_path / name, **options)
