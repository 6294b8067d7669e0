"""Sample reports of the site, from archives."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from mkdocs.config import load_config
from mkdocs.structure.files import File, Files
from scripts import load_script

from mimbench.reporting import archive
from mimbench.reporting.collect import collect

ROOT = Path(__file__).parents[2]


@pytest.fixture
def samples() -> ModuleType:
    return load_script(ROOT / "docs" / "samples.py")


def settings() -> Any:
    config: Any = load_config(str(ROOT / "mkdocs.yml"))
    config.plugins._current_plugin = "docs/samples.py"  # which MkDocs sets during an event
    return config


def made(samples: ModuleType, config: Any) -> Files:
    return samples.on_files(Files([]), config)


def first_page(samples: ModuleType, config: Any, files: Files, name: str = "index.md") -> str:
    page: Any = SimpleNamespace(file=SimpleNamespace(src_uri=name))
    return samples.on_page_markdown((ROOT / "docs" / "index.md").read_text(), page, config, files)


def test_an_archive_has_a_report_a_page_and_the_first_figure(
    samples: ModuleType, make_run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method, knn in (("untrained", 0.2), ("mae", 0.4), ("mirl", 0.5)):
        directory = make_run(method, knn=knn)
    results = tmp_path / "results"
    results.mkdir()
    archive.write(collect(directory.parent), results / "demo.jsonl")
    monkeypatch.setattr(samples, "RESULTS", results)
    config = settings()
    files = made(samples, config)
    for name in ("report.html", "table.csv", "table.tex", "figures/accuracy.svg", "figures/flops.svg"):
        assert files.get_file_from_path(f"results/demo/{name}") is not None
    assert files.get_file_from_path("results/demo/table.md") is None  # it would be a page of its own
    page = files.get_file_from_path("use/sample_report.md")
    assert isinstance(page, File)
    text = page.content_string
    assert "(../results/demo/report.html)" in text
    assert "MIRL" in text
    first = first_page(samples, config, files)
    assert "](results/demo/figures/accuracy.svg)" in first
    assert first.index("accuracy.svg") < first.index("| I want to")
    assert "](figures/" not in first
    assert "accuracy.svg" not in first_page(samples, config, files, "start/why.md")


def test_without_an_archive_the_page_says_how_to_make_one(
    samples: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "RESULTS", tmp_path)
    config = settings()
    files = made(samples, config)
    page = files.get_file_from_path("use/sample_report.md")
    assert isinstance(page, File)
    assert "mimbench report DIR --archive docs/results/demo.jsonl" in page.content_string
    first = first_page(samples, config, files)
    assert first == (ROOT / "docs" / "index.md").read_text()
