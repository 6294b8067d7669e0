"""What the report says before the table: mixed versions and missing baselines."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from mimbench.cli import main
from mimbench.reporting.collect import collect
from mimbench.reporting.notices import notices
from mimbench.reporting.render import tables
from mimbench.reporting.summary import summarize

MakeRun = Callable[..., Path]


def test_a_row_of_two_versions_is_marked_and_named(make_run: MakeRun) -> None:
    make_run("mae", 0, environment={"mimbench": "0.1.0"})
    make_run("mae", 1, environment={"mimbench": "0.2.0"})
    make_run("untrained", 0, environment={"mimbench": "0.1.0"})
    sweep = collect(make_run("untrained", 1, environment={"mimbench": "0.1.0"}).parent)
    [notice] = notices(sweep.runs)
    assert "photos · vit_demo · depth 4 · MAE (0.1.0, 0.2.0)" in notice
    runs = {row["method"]: row["runs"] for row in tables.rows(summarize(sweep))}
    assert runs == {"untrained": "2/2", "MAE": "2/2 ‡"}
    rows = csv.DictReader(io.StringIO(tables.csv(summarize(sweep))))
    assert {row["method"]: row["versions"] for row in rows} == {"untrained": "0.1.0", "mae": "0.1.0 0.2.0"}


def test_versions_of_unfinished_runs_do_not_count(make_run: MakeRun) -> None:
    make_run("untrained", 0)
    make_run("mae", 0, environment={"mimbench": "0.1.0"})
    sweep = collect(make_run("mae", 1, status="failed", environment={"mimbench": "0.2.0"}).parent)
    assert notices(sweep.runs) == []


def test_a_setting_without_an_untrained_encoder_is_named(make_run: MakeRun) -> None:
    make_run("untrained", 0, depth=4)
    make_run("mae", 0, depth=4)
    sweep = collect(make_run("mae", 0, depth=8).parent)
    [notice] = notices(sweep.runs)
    assert "photos · vit_demo · depth 8:" in notice
    assert "depth 4" not in notice
    assert "method=untrained" in notice


def test_many_are_counted(make_run: MakeRun) -> None:
    runs = [make_run("mae", 0, depth=depth) for depth in (2, 4, 6, 8, 10)]
    [notice] = notices(collect(runs[0].parent).runs)
    assert "and 2 more" in notice


def test_notices_stand_in_terminal_page_and_markdown(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    make_run("mae", 0, environment={"mimbench": "0.1.0"})
    sweep = make_run("mae", 1, environment={"mimbench": "0.2.0"}).parent
    assert main(["report", str(sweep), "--no-figures"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    texts = [said, *((sweep / "report" / name).read_text() for name in ("report.html", "report.md"))]
    for text in texts:
        assert "different versions of mimbench (‡)" in text
        assert "There is no untrained encoder for photos" in text
    assert "2/2 ‡" in texts[0]
    assert "\\ddag" in (sweep / "report" / "table.tex").read_text()
