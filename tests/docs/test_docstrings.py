"""Examples in docstrings do what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

import mimbench

PACKAGE = Path(mimbench.__file__).parent
MODULES = sorted(
    ".".join(("mimbench", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text()
)


def test_main_entry_points_have_examples() -> None:
    assert {"mimbench.core.mask", "mimbench.encoders.vit", "mimbench.evaluation.protocols.knn"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0
