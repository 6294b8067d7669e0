"""Packages that a command imports decide how fast it starts: a further dependency must be intended."""

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

KNOWN = json.loads((Path(__file__).parents[2] / "benchmarks" / "imports.json").read_text())
REPORT = """
import sys
before = set(sys.modules)
{statement}
print("packages:", *{{name.partition(".")[0] for name in set(sys.modules) - before}})
"""


def dependencies() -> set[str]:
    """Names of the packages that mimbench requires itself, extras included."""
    return {re.split(r"[^\w.-]", line)[0].lower() for line in requires("mimbench") or ()}


def packages(statement: str) -> set[str]:
    """Dependencies of mimbench that a statement imports, directly or through another package."""
    code = REPORT.format(statement=statement)
    ended = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    found = ended.stdout.splitlines()[-1].removeprefix("packages:").split()
    own, distributions = dependencies(), packages_distributions()
    return {name for name in found if own & {d.lower() for d in distributions.get(name, ())}}


@pytest.mark.parametrize("statement", KNOWN)
def test_starting_imports_no_further_dependency(statement: str) -> None:
    new = packages(statement) - set(KNOWN[statement])
    assert not new, f"If it is intended, add it to benchmarks/imports.json: {sorted(new)}"


def test_a_further_dependency_is_found() -> None:
    assert {"pandas", "numpy"} <= packages("import pandas")
