"""The report on disk: order of its parts, working links, reproducible bytes."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mimbench.reporting import report
from mimbench.reporting.collect import collect
from mimbench.reporting.render import tables
from mimbench.reporting.summary import summarize

MakeRun = Callable[..., Path]
Plan = Callable[..., Path]
LOSSES = "step,metric,value\n" + "".join(
    f"{s},train/loss,{1 / (s + 1)}\n{s},val/loss,{1 / (s + 1)}\n" for s in range(50)
)


def a_sweep(make_run: MakeRun, methods: tuple[str, ...] = ("untrained", "mae", "mirl"), seeds: int = 2) -> Path:
    for method in methods:
        for seed in range(seeds):
            directory = make_run(method, seed, knn=0.3 + 0.02 * len(method) + 0.001 * seed * len(method), losses=LOSSES)
    return directory.parent


def write_tables(sweep_dir: Path, out: Path) -> Path:
    sweep = collect(sweep_dir)
    return report.write(sweep, summarize(sweep), out, draw=False).with_suffix(".md")


def test_state_and_findings_come_before_the_table_and_the_table_before_the_rest(make_run: MakeRun, tmp_path: Path):
    sweep_dir = a_sweep(make_run)
    make_run("deepmim", 0, status="failed", error={"type": "ValueError", "message": "boom"})
    text = write_tables(sweep_dir, tmp_path / "out").read_text()
    order = ["6 of 7 runs finished; 1 failed", "## Conclusions", "- kNN: ", "## Comparison"]
    order += [
        "| data",
        "ValueError: boom",
        "## Runs that did not finish",
        "## How the numbers are computed",
        "`knn-v1`",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "- commit: abc1234" in text


def test_every_link_of_the_page_leads_to_a_file(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(report, "encode", lambda figure, kind: b"an image")
    sweep_dir = a_sweep(make_run)
    failed = make_run("deepmim", 0, status="failed", error={"type": "ValueError", "message": "boom"})
    (failed / "log.txt").write_text("Traceback")
    make_run("localmim", 0, status="interrupted")
    page = report.write_report(sweep_dir).with_suffix(".md")
    assert page == sweep_dir / "report" / "report.md"
    links = re.findall(r"\]\(([^)]+)\)", page.read_text())
    assert "../deepmim-d4-photos-s0/log.txt" in links
    assert "../localmim-d4-photos-s0" in links
    assert "figures/layerwise.png" in links
    assert all((page.parent / link).exists() for link in links)


def test_markdown_and_csv_are_the_same_bytes_for_the_same_runs(make_run: MakeRun, tmp_path: Path):
    sweep_dir = a_sweep(make_run)
    pages = [write_tables(sweep_dir, tmp_path / name) for name in ("first", "again")]
    for name in ("report.html", "report.md", "table.md", "table.csv", "table.tex"):
        first, again = [(page.parent / name).read_bytes() for page in pages]
        assert first == again
        assert first


def test_an_interrupted_report_leaves_no_incomplete_file(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sweep_dir = a_sweep(make_run)
    page = write_tables(sweep_dir, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in page.parent.iterdir()}
    make_run("deepmim", 0)

    def interrupt(summaries: list) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(tables, "csv", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_tables(sweep_dir, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in page.parent.iterdir()} == before


def test_an_outdated_figure_is_removed(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(report, "encode", lambda figure, kind: b"an image")
    make_run("mae", depth=4)
    extra = make_run("mae", depth=8)
    page = report.write_report(extra.parent).with_suffix(".md")
    assert (page.parent / "figures/depth.png").exists()
    (extra / "record.json").unlink()
    report.write_report(extra.parent)
    assert not (page.parent / "figures/depth.png").exists()
    assert "depth.png" not in page.read_text()


def test_differing_commits_are_counted(make_run: MakeRun, tmp_path: Path):
    make_run("mae", 0, environment={"commit": "abc"})
    make_run("mae", 1, environment={"commit": "def"})
    directory = make_run("mae", 2, environment={"commit": None})
    text = write_tables(directory.parent, tmp_path / "out").read_text()
    assert "- commit: abc (1 runs), def (1 runs), unknown (1 runs)" in text


@pytest.mark.parametrize("status", ["failed", "running"])
def test_a_sweep_without_a_finished_run_still_has_a_report(make_run: MakeRun, status: str):
    directory = make_run("mae", 0, status=status, error={"type": "E", "message": "m"} if status == "failed" else None)
    text = report.write_report(directory.parent).with_suffix(".md").read_text()
    assert f"0 of 1 runs finished; 1 {status}." in text


def test_a_sweep_of_broken_records_still_has_a_report(make_run: MakeRun):
    directory = make_run("mae", 0)
    (directory / "record.json").write_text("nonsense")
    text = report.write_report(directory.parent).with_suffix(".md").read_text()
    assert "**Warning:**" in text
    assert "| lost" in text


def test_sixty_runs_take_a_few_seconds(make_run: MakeRun):
    for data in ("photos", "digits"):
        for depth in (4, 8):
            for method in ("untrained", "mae", "deepmim", "localmim", "mirl"):
                for seed in range(3):
                    directory = make_run(method, seed, data=data, depth=depth, knn=0.3 + 0.01 * seed * depth / 4)
    start = time.perf_counter()
    sweep = collect(directory.parent)
    summaries = summarize(sweep)
    tables_only = report.write(sweep, summaries, directory.parent / "report", draw=False)
    assert time.perf_counter() - start < 5
    assert len(sweep.finished) == 60
    assert len(summaries) == 20
    assert tables_only.exists()


def test_the_time_of_the_last_result_is_readable(make_run: MakeRun, tmp_path: Path):
    text = write_tables(make_run("mae").parent, tmp_path / "out").read_text()
    assert "Last result: 2025-01-01 10:01 UTC." in text
