"""Fixtures that write run directories with artificial records, and a browser.

Screenshots are written to MIMBENCH_SCREENSHOTS, by default .artifacts/report.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from mimbench.runs import correctness, records
from mimbench.runs.records import Record

CHROMIUM = Path("/usr/bin/chromium")
NO_NETWORK = (
    "--disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync"
)
ARGUMENTS = ["--no-sandbox", *NO_NETWORK.split(" ")]
MakeRun = Callable[..., Path]
Plan = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """A function that writes one run directory below tmp_path and returns it; accuracies are fractions."""
    return run_writer(tmp_path)


@pytest.fixture(scope="session")
def make_runs_in() -> Callable[[Path], MakeRun]:
    """Makes `make_run` for another directory."""
    return run_writer


def run_writer(root: Path) -> MakeRun:
    """A function that writes one run directory below `root`."""

    def make(
        method: str = "mae",
        seed: int = 0,
        *,
        data: str = "photos",
        depth: int = 4,
        knn: float | None = 0.4,
        linear: float | None = 0.5,
        num_test: int = 1000,
        axes: dict[str, Any] | None = None,
        cost: dict[str, Any] | None = None,
        losses: str = "",
        config: dict[str, Any] | None = None,
        correct: dict[str, list[bool]] | None = None,
        analysis: dict[str, Any] | None = None,
        **fields: Any,
    ) -> Path:
        all_axes = {"method": method, "encoder": "vit_demo", "depth": depth, "data": data, "seed": seed} | (axes or {})
        suffix = "".join(f"-{value}" for value in (axes or {}).values())
        name = f"{method}-d{depth}-{data}-s{seed}{suffix}"
        metrics: dict[str, Any] = {"val/loss": 0.5}
        for protocol, accuracy in (("knn-v1", knn), ("linear-v1", linear)):
            if accuracy is not None:
                metrics[protocol] = {"accuracy": accuracy, "num_test": num_test, "depth": depth}
        if knn is not None and linear is not None:
            taps = list(range(depth + 1))
            fractions = [0.5 + 0.5 * tap / depth for tap in taps]
            metrics["layerwise-v1"] = {
                "depths": taps,
                "knn": [knn * fraction for fraction in fractions],
                "linear": [linear * fraction for fraction in fractions],
                "num_test": num_test,
            }
        if analysis is not None:
            metrics["analysis-v1"] = analysis
        trained = method != "untrained"
        values = {
            "identity": f"id-{name}",
            "name": name,
            "status": "finished",
            "axes": all_axes,
            "started": "2025-01-01T10:00:00+00:00",
            "finished": "2025-01-01T10:01:00+00:00",
            "metrics": metrics,
            "cost": {
                "training_flops": 2e13 * trained,
                "train_seconds": 90.0 * trained,
                "images_per_second": 450.0 if trained else None,
            },
            "environment": {"torch": "2.15.0", "commit": "abc1234"},
        }
        values["cost"] |= cost or {}
        directory = root / "sweep" / name
        records.write(Record(**(values | fields)), directory)
        for protocol, answers in (correct or {}).items():
            correctness.write(directory, protocol, answers)
        if config is not None:
            (directory / "config.yaml").write_text(yaml.safe_dump(config))
        if losses:
            (directory / "metrics.csv").write_text(losses)
        return directory

    return make


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A function that writes sweep.json for (method, seed, reason of refusal or None) and returns its directory."""

    def write(*runs: tuple[str, int, str | None]) -> Path:
        directory = tmp_path / "sweep"
        directory.mkdir(exist_ok=True)
        planned = [
            {
                "identity": f"id-{method}-d4-photos-s{seed}",
                "name": f"{method}-d4-photos-s{seed}",
                "axes": {"method": method, "encoder": "vit_demo", "depth": 4, "data": "photos", "seed": seed},
                "overrides": [f"method={method}", f"seed={seed}"],
                "refused": refused,
            }
            for method, seed, refused in runs
        ]
        (directory / "sweep.json").write_text(json.dumps({"name": "demo", "axes": {}, "runs": planned}))
        return directory

    return write


@pytest.fixture(scope="session")
def write_reconstructions() -> Callable[..., None]:
    """A function that writes the reconstructions of a run and their legend, one gray value per row."""

    def write(directory: Path, branches: dict[str, int], mask: int = 0, side: int = 12, num_images: int = 3) -> None:
        rows = {"image": 200, "visible": mask} | branches
        step = side + 2
        canvas = np.zeros((len(rows) * step + 2, num_images * step + 2, 3), dtype=np.uint8)
        for row, value in enumerate(rows.values()):
            for image in range(num_images):
                top, left = 2 + row * step, 2 + image * step
                canvas[top : top + side, left : left + side] = value
        path = directory / "figures" / "reconstructions.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(canvas).save(path)
        path.with_suffix(".json").write_text(json.dumps({"rows": list(rows), "side": side, "gap": 2}))

    return write


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        message = f"{CHROMIUM} does not exist; install Debian's chromium."
        pytest.fail(message) if os.environ.get("MIMBENCH_REQUIRE_BROWSER") == "1" else pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def screenshot(request: pytest.FixtureRequest) -> Callable[[Any, str], None]:
    """A function that writes a screenshot of a page."""
    folder = Path(os.environ.get("MIMBENCH_SCREENSHOTS", request.config.rootpath / ".artifacts" / "report"))
    folder.mkdir(parents=True, exist_ok=True)
    return lambda page, name: page.screenshot(path=folder / f"{name}.png", full_page=True)
