"""Tests for every golden file of a folder; the content of a file, not its name, determines which.

The folder is tests/golden/data or the one given by `pytest tests/golden --golden-dir DIR`.
"""

import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for the modules formulas, documents and cases

import documents  # noqa: E402
from cases import rebuild  # noqa: E402
from cases.base import Case, Run  # noqa: E402


def _documents(config: pytest.Config) -> dict[str, dict[str, Any]]:
    given = config.getoption("golden_dir")
    folder = config.invocation_params.dir / given if given else HERE / "data"
    try:
        return documents.read(folder)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skips test_<kind>.py if the folder has no file of that kind."""
    subject = collection_path.stem.removeprefix("test_")
    found = _documents(config).values()
    kinds = {documents.kind(document) for document in found}
    kinds |= {"ijepa" for document in found if "step1" in document.get("float64", {})}
    kinds |= {"localmim_swin" for document in found if documents.REPAIRED in document}
    return (
        True
        if subject in {"case", "classifier", "hog", "names", "counts", "collator", "localmim_swin", "ijepa"} - kinds
        else None
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrizes over the files of a kind (`case`, `classifier`, `hog` ...) or all (`document`), and precisions."""
    found = _documents(metafunc.config)
    if "document" in metafunc.fixturenames:
        metafunc.parametrize("stem", found)
    for kind in ("case", "classifier", "hog", "names", "counts", "collator"):
        if kind in metafunc.fixturenames:
            stems = [stem for stem, document in found.items() if documents.kind(document) == kind]
            metafunc.parametrize(kind, stems, indirect=True)
    if "steps" in metafunc.fixturenames:
        stems = [stem for stem, document in found.items() if "step1" in document.get("float64", {})]
        metafunc.parametrize("steps", stems, indirect=True)
    if "repaired" in metafunc.fixturenames:
        metafunc.parametrize("repaired", [stem for stem, document in found.items() if documents.REPAIRED in document])
    if "precision" in metafunc.fixturenames:
        metafunc.parametrize("precision", ["float64", "float32"])


@pytest.fixture
def document(stem: str, pytestconfig: pytest.Config) -> Any:
    return _documents(pytestconfig)[stem]


@pytest.fixture
def documents_by_stem(pytestconfig: pytest.Config) -> dict[str, Any]:
    return _documents(pytestconfig)


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    return _rebuilt(request.param, request.config)


@pytest.fixture
def classifier(request: pytest.FixtureRequest) -> Case:
    return _rebuilt(request.param, request.config)


@pytest.fixture
def names(request: pytest.FixtureRequest) -> Case:
    return _rebuilt(request.param, request.config)


@pytest.fixture
def hog(request: pytest.FixtureRequest) -> dict[str, Any]:
    return _documents(request.config)[request.param]


@pytest.fixture
def steps(request: pytest.FixtureRequest) -> Case:
    return _rebuilt(request.param, request.config)


@pytest.fixture
def collator(request: pytest.FixtureRequest) -> dict[str, Any]:
    return _documents(request.config)[request.param]


@pytest.fixture
def counts(request: pytest.FixtureRequest) -> dict[str, Any]:
    return _documents(request.config)[request.param]


@pytest.fixture
def device(pytestconfig: pytest.Config) -> str:
    return pytestconfig.getoption("device") or "cpu"


@pytest.fixture
def run(case: Case, precision: str, device: str) -> Run:
    return _run(case, precision, device)


@pytest.fixture
def exact_run(case: Case, device: str) -> Run:
    return _run(case, "float64", device)


@pytest.fixture
def recorded(case: Case, precision: str) -> dict[str, Any]:
    return case.document[precision]


@pytest.fixture
def tolerance(precision: str) -> float:
    """Relative tolerances; float32 runs of two PyTorch versions differ by up to 2.5e-6."""
    return {"float64": 1e-10, "float32": 1e-5}[precision]


@lru_cache
def _rebuilt(stem: str, config: pytest.Config) -> Case:
    return rebuild(_documents(config)[stem])


@lru_cache
def _run(case: Case, precision: str, device: str) -> Run:
    return case.run(precision, device)
