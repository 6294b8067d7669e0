"""The numbers of README's first table are those of the committed results."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

ROOT = Path(__file__).parents[2]
ARCHIVE = ROOT / "docs" / "results" / "demo.jsonl"
NAMES = {"untrained": "untrained", "mae": "MAE", "deepmim": "DeepMIM", "localmim": "LocalMIM", "mirl": "MIRL"}
PROTOCOLS = ("knn-v1", "linear-v1")


@pytest.fixture(scope="module")
def results() -> dict[tuple[str, str], dict[int, dict[str, Any]]]:
    """The metrics of every run by (data, method) and seed."""
    found: dict[tuple[str, str], dict[int, dict[str, Any]]] = defaultdict(dict)
    for line in ARCHIVE.read_text().splitlines()[1:]:
        record = json.loads(line)["record"]
        axes = record["axes"]
        found[axes["data"], axes["method"]][axes["seed"]] = record["metrics"]
    return found


def accuracies(runs: dict[int, dict[str, Any]], protocol: str) -> np.ndarray:
    return np.array([100 * runs[seed][protocol]["accuracy"] for seed in sorted(runs)])


def difference(values: np.ndarray, baseline: np.ndarray) -> str:
    """`+20.1 [+19.4, +20.8]`: the mean over seeds of the paired difference with the 95 % interval of Student's t."""
    paired = values - baseline
    half = stats.t.ppf(0.975, len(paired) - 1) * paired.std(ddof=1) / len(paired) ** 0.5
    mean = paired.mean()
    return f"{mean:+.1f} [{mean - half:+.1f}, {mean + half:+.1f}]"


def row(results: dict[Any, Any], data: str, method: str) -> str:
    """A row of README's table."""
    cells = [data, NAMES[method]]
    for protocol in PROTOCOLS:
        values = accuracies(results[data, method], protocol)
        cells.append(f"{values.mean():.1f} ± {values.std(ddof=1):.1f}")
        baseline = accuracies(results[data, "untrained"], protocol)
        cells.append("" if method == "untrained" else difference(values, baseline))
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def test_the_archive_has_three_seeds_of_every_method(results: dict[Any, Any]) -> None:
    assert {key: sorted(runs) for key, runs in results.items()} == {
        (data, method): [0, 1, 2] for data in ("fashion", "photos") for method in NAMES
    }


@pytest.mark.parametrize("method", NAMES)
@pytest.mark.parametrize("data", ["fashion", "photos"])
def test_readmes_table_agrees_with_the_archive(results: dict[Any, Any], data: str, method: str) -> None:
    rows = re.findall(r"^\| (?:fashion|photos) \|.*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert row(results, data, method) in rows
