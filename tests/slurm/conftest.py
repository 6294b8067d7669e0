"""The cluster, once for all tests, and a user who works on it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm.cluster import Cluster, impossible
from slurm.user import User


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slurm)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two nodes. Without SLURM tests are skipped; in CI, and with MIMBENCH_REQUIRE_SLURM=1, they fail."""
    if reason := impossible():
        required = os.environ.get("CI") or os.environ.get("MIMBENCH_REQUIRE_SLURM") == "1"
        (pytest.fail if required else pytest.skip)(f"No SLURM here: {reason}.")
    directory = Path(tempfile.mkdtemp(prefix="slurm-"))  # short, since a socket's path may have 100 characters
    try:
        with Cluster(directory) as started:
            yield started
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def user(cluster: Cluster, tmp_path: Path) -> User:
    return User(cluster, tmp_path)
