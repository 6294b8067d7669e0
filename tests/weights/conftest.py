"""Released files, as small as the golden cases and as large as the names tell."""

import argparse
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

GOLDEN = Path(__file__).parents[1] / "golden"
sys.path[:0] = [str(GOLDEN), str(Path(__file__).parent)]  # formulas, documents, cases; round_trips

import documents  # noqa: E402
from cases import rebuild  # noqa: E402
from cases.base import Case  # noqa: E402


def golden(kind: str) -> dict[str, Case]:
    """The released models that the golden files of a kind list, by the file's stem."""
    found = documents.read(GOLDEN / "data")
    return {stem: rebuild(document) for stem, document in found.items() if documents.kind(document) == kind}


@pytest.fixture
def save_released(tmp_path: Path) -> Callable[[Case], Path]:
    """Writes the weights of a case as the released code does: Paddle's pickle or PyTorch's file."""

    def save(case: Case) -> Path:
        arguments: dict[str, Any] = {"epoch": 3, "optimizer": {}, "scaler": None, "args": argparse.Namespace(lr=1e-3)}
        if case.linear_in_out:
            path = tmp_path / "checkpoint.pd"
            pairs = {name: (f"inner_{i}", value) for i, (name, value) in enumerate(case.released.items())}
            path.write_bytes(pickle.dumps({"model": pairs} | arguments, protocol=4))
        else:
            path = tmp_path / "checkpoint.pth"
            weights = {name: torch.from_numpy(value.copy()) for name, value in case.released.items()}
            torch.save({"model": weights} | arguments, path)
        return path

    return save


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for kind in ("case", "names"):
        if kind in metafunc.fixturenames:
            cases = golden(kind)
            metafunc.parametrize(kind, cases.values(), ids=cases.keys())
