"""Markdown, CSV and terminal show the same numbers, and none is truncated."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from mimbench.reporting.collect import Sweep, collect
from mimbench.reporting.render import formatting, tables, terminal
from mimbench.reporting.statistics import Difference
from mimbench.reporting.summary import Summary, summarize

MakeRun = Callable[..., Path]
Plan = Callable[..., Path]


@pytest.fixture
def compared(make_run: MakeRun, plan: Plan) -> tuple[Sweep, list[Summary]]:
    for seed, noise in enumerate((-0.01, 0.0, 0.013)):
        make_run("untrained", seed, knn=0.27 + noise, linear=0.43 + noise)
        make_run("mae", seed, knn=0.37 + noise * noise, linear=0.43 - noise)
    make_run("deepmim", 0, knn=0.2, linear=0.3)
    make_run("localmim", 0, status="failed", error={"type": "RuntimeError", "message": "NaN in a | b\nat step 7"})
    planned = [(method, seed, None) for method in ("untrained", "mae", "deepmim", "localmim") for seed in range(3)]
    sweep = collect(plan(*planned, ("mirl", 0, "depth 5 is odd")))
    return sweep, summarize(sweep)


def parsed(markdown: str) -> list[dict[str, str]]:
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in markdown.strip().splitlines()]
    header, _, *rows = [[cell.strip() for cell in line] for line in lines]
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_markdown_and_csv_contain_the_same_rows_and_numbers(compared: tuple[Sweep, list[Summary]]):
    rows = parsed(tables.markdown(compared[1]))
    table = pd.read_csv(io.StringIO(tables.csv(compared[1])))
    assert [row["method"] for row in rows] == ["untrained", "DeepMIM", "LocalMIM", "MAE", "MIRL"]
    assert table["method"].tolist() == ["untrained", "deepmim", "localmim", "mae", "mirl"]
    for row, (_, values) in zip(rows, table.iterrows(), strict=True):
        assert row["runs"] == f"{values['finished']}/{values['runs']}"
        if values["finished"]:
            shown = re.match(r"([\d.]+)(?: ± ([\d.]+))? \(n=(\d)(?:/3)?\) \[([\d.]+), ([\d.]+)\]", row["kNN %"])
            assert shown is not None
            names = ("knn-v1_mean", "knn-v1_sd", "knn-v1_n", "knn-v1_low", "knn-v1_high")
            for text, name in zip(shown.groups(), names, strict=True):
                scale = 1 if name.endswith("_n") else 100
                assert (
                    pd.isna(values[name])
                    if text is None
                    else float(text) == pytest.approx(scale * values[name], abs=0.051)
                )


def test_a_cell_shows_mean_deviation_n_interval_difference_and_verdict(compared: tuple[Sweep, list[Summary]]):
    rows = {row["method"]: row for row in parsed(tables.markdown(compared[1]))}
    assert rows["untrained"]["kNN %"] == "27.1 ± 1.2 (n=3) [24.2, 30.0]"
    assert rows["untrained"]["kNN vs untrained"] == "–"
    assert rows["MAE"]["kNN vs untrained"] == "+9.9 ▲ [+7.1, +12.8]"
    assert rows["MAE"]["linear vs untrained"].startswith("-0.2 ≈")
    assert rows["DeepMIM"]["kNN vs untrained"].startswith("-6.0 ▼")
    assert rows["DeepMIM"]["kNN %"].startswith("20.0 (n=1/3)")
    assert rows["DeepMIM"]["kNN %"].endswith("]†")
    assert rows["MAE"]["kNN vs best"] == "best"
    assert rows["DeepMIM"]["kNN vs best"].startswith("-17.0 ▼")
    assert (rows["MAE"]["training FLOPs"], rows["MAE"]["images/s"], rows["MAE"]["minutes"]) == ("2e13", "450", "1.5")


def test_unfinished_runs_are_in_every_format_with_their_reason(compared: tuple[Sweep, list[Summary]]):
    rows = {row["method"]: row for row in parsed(tables.markdown(compared[1]))}
    assert rows["LocalMIM"]["not finished"] == "1 failed: RuntimeError: NaN in a \\| b at step 7; 2 planned"
    assert (rows["LocalMIM"]["runs"], rows["LocalMIM"]["kNN %"]) == ("0/3", "–")
    assert rows["DeepMIM"]["not finished"] == "2 planned"
    assert rows["MIRL"]["not finished"] == "1 refused: depth 5 is odd"
    table = pd.read_csv(io.StringIO(tables.csv(compared[1]))).set_index("method")
    assert table.loc["localmim", ["runs", "finished", "failed", "planned"]].tolist() == [3, 0, 1, 2]
    assert table.loc["mirl", ["planned", "refused"]].tolist() == [0, 1]
    text = on_terminal(*compared)
    assert "failed 1: RuntimeError: NaN in a | b at step 7" in text
    assert "refused 1: depth 5 is odd" in text
    assert "planned 4" in text
    assert "7 of 12 runs finished; 1 failed, 4 planned, 1 refused." in text


def on_terminal(sweep: Sweep, summaries: list[Summary]) -> str:
    console = Console(file=io.StringIO(), width=terminal.WIDTH)
    terminal.show(sweep, summaries, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_terminal_table_fits_100_columns_without_truncation(compared: tuple[Sweep, list[Summary]]):
    text = on_terminal(*compared)
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    for part in ("27.1 ± 1.2 (n=3)", "[24.2, 30.0]", "+9.9 ▲", "[+7.1, +12.8]", "2e13", "450", "0/3", "baseline"):
        assert part in text


def test_the_terminal_names_the_leader_last(compared: tuple[Sweep, list[Summary]]):
    lines = on_terminal(*compared).splitlines()
    leader = next(number for number, line in enumerate(lines) if line.startswith("  kNN: MAE 37.0"))
    assert leader > max(number for number, line in enumerate(lines) if line.startswith("MAE "))


def test_long_variants_wrap_and_numbers_do_not(make_run: MakeRun):
    for ratio in (0.6, 0.75):
        for seed in range(3):
            make_run("untrained", seed, knn=0.9 + 0.003 * seed, linear=0.9 - 0.003 * seed)
            axes = {"masker.ratio": ratio, "method.decoder_width": 512}
            directory = make_run("localmim_pixels", seed, knn=0.5 + 0.2 * seed, linear=0.5 + 0.2 * seed, axes=axes)
    sweep = collect(directory.parent)
    text = on_terminal(sweep, summarize(sweep))
    assert max(map(len, text.splitlines())) <= 100
    assert all(part in text for part in ("70.0 ± 20.0 (n=3)", "images/s", "minutes"))
    assert re.search(r"\[-\d\d\.\d, \+\d\d\.\d\]", text)


def test_three_protocols_fit_the_width_of_the_terminal(make_run: MakeRun):
    results = {name: {"accuracy": 0.5, "num_test": 100} for name in ("knn-v1", "linear-v1", "attentive-v1")}
    directory = make_run("mae", metrics=results)
    sweep = collect(directory.parent)
    text = on_terminal(sweep, summarize(sweep))
    assert all(f"{title} %" in text for title in ("kNN", "linear", "attentive"))
    assert max(map(len, text.splitlines())) <= 100


def test_a_long_protocol_name_does_not_truncate_methods(make_run: MakeRun):
    names = ("detect-small_frozen@collages-48e3d0", "segment-linear-v1@collages")
    results = {name: {"accuracy": 0.5, "num_test": 100} for name in names}
    directory = make_run("localmim", metrics=results)
    sweep = collect(directory.parent)
    rows = on_terminal(sweep, summarize(sweep)).splitlines()
    assert any(row.startswith("LocalMIM  ") and row.count("50.0") == 2 for row in rows)
    assert max(map(len, rows)) <= 100


def test_a_rounded_zero_has_no_minus():
    assert formatting.gain(Difference(-0.0001, 3, -0.01, 0.01, "")) == "+0.0 ≈"
