"""Methods with equal results are level, and the best is not praised when the untrained encoder is better."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from mimbench.reporting import report
from mimbench.reporting.collect import collect
from mimbench.reporting.comparisons import compare, count_wins
from mimbench.reporting.render import html_rows, tables, terminal
from mimbench.reporting.render.sentences import answer, conclusions
from mimbench.reporting.summary import summarize

MakeRun = Callable[..., Path]


def a_sweep(make_run: MakeRun, results: dict[str, dict[str, float]], seeds: int = 2) -> Path:
    """Runs by dataset and method, with equal kNN accuracies of all seeds."""
    for data, methods in results.items():
        for method, knn in methods.items():
            for seed in range(seeds):
                directory = make_run(method, seed, data=data, knn=knn, linear=None)
    return directory.parent


def test_methods_that_are_all_right_do_not_lead(make_run: MakeRun) -> None:
    directory = a_sweep(make_run, {data: {"mae": 1.0, "mirl": 1.0} for data in ("photos", "digits")})
    summaries = summarize(collect(directory))
    assert answer(summaries) == ["kNN: no method leads: MAE and MIRL are level in all 2 settings."]
    assert [row["kNN vs best"] for row in tables.rows(summaries)] == ["tied best"] * 4
    (count,) = count_wins(compare(summaries))
    assert (count.labels, count.num_ties, count.num_wins) == ((), 2, 0)


def test_every_page_says_that_it_is_a_tie(make_run: MakeRun) -> None:
    directory = a_sweep(make_run, {"photos": {"untrained": 0.5, "mae": 1.0, "mirl": 1.0, "mff": 0.7}})
    sweep = collect(directory)
    summaries = summarize(sweep)
    (lines,) = conclusions(summaries).values()
    assert lines[0].startswith("kNN: MAE 100.0 ± 0.0 (n=2); over untrained +50.0 ▲")
    assert "level with MIRL" in lines[0]
    assert "over MIRL" not in lines[0]
    ((entry,),) = [setting["lines"] for setting in html_rows.leaders(summaries)]
    assert entry["tie"] == "level with MIRL"
    assert "lead" not in entry
    page = report.write(sweep, summaries, directory / "report", draw=False)
    for text in (page.read_text(), page.with_suffix(".md").read_text()):
        assert " leads in " not in text.partition("<script")[0]
        assert "tied best" in text
    console = Console(file=io.StringIO(), width=terminal.WIDTH)
    terminal.show(sweep, summaries, console)
    assert isinstance(console.file, io.StringIO)
    assert "MAE and MIRL are level in the only setting" in console.file.getvalue()


def test_settings_that_are_ties_are_not_counted_as_led(make_run: MakeRun) -> None:
    directory = a_sweep(make_run, {"photos": {"mae": 0.9, "mirl": 0.5}, "digits": {"mae": 1.0, "mirl": 1.0}})
    (sentence,) = answer(summarize(collect(directory)))
    assert sentence == "kNN: MAE leads in 1 of 2 settings, beyond noise†; the best methods are level in 1."


def test_two_methods_that_lead_equally_often_share_the_sentence(make_run: MakeRun) -> None:
    directory = a_sweep(make_run, {"photos": {"mae": 0.9, "mirl": 0.5}, "digits": {"mae": 0.4, "mirl": 0.9}})
    (sentence,) = answer(summarize(collect(directory)))
    assert sentence == "kNN: MIRL and MAE lead in 1 of 2 settings each, beyond noise†."


def test_a_difference_that_is_shown_is_no_tie(make_run: MakeRun) -> None:
    directory = a_sweep(make_run, {"photos": {"mae": 0.999, "mirl": 1.0}})
    (sentence,) = answer(summarize(collect(directory)))
    assert sentence == "kNN: MIRL leads in the only setting, its lead over the next method is within noise†."


def test_a_significant_difference_is_no_tie_although_its_digits_are_not_shown(make_run: MakeRun) -> None:
    for method, knn in (("mae", 0.5), ("mirl", 0.5003)):
        directory = make_run(method, knn=knn, linear=None, num_test=100_000_000)
    (sentence,) = answer(summarize(collect(directory.parent)))
    assert sentence.startswith("kNN: MIRL leads in the only setting, beyond noise")


@pytest.mark.parametrize(
    ("untrained", "text", "kind"), [(0.3, "best", "best"), (0.6, "best, below untrained", "noise")]
)
def test_the_best_is_green_only_if_it_is_not_below_the_untrained_encoder(
    make_run: MakeRun, untrained: float, text: str, kind: str
) -> None:
    directory = a_sweep(make_run, {"photos": {"untrained": untrained, "mae": 0.4, "mirl": 0.5}})
    sweep = collect(directory)
    summaries = summarize(sweep)
    by_label = {row["label"]: row["cells"][0]["gains"][1] for row in html_rows.rows(summaries)}
    assert (by_label["MIRL"]["text"], by_label["MIRL"]["kind"]) == (text, kind)
    ((entry,),) = [setting["lines"] for setting in html_rows.leaders(summaries)]
    assert entry["kind"] == ("better" if kind == "best" else "noise")
    page = report.write(sweep, summaries, directory / "report", draw=False).read_text()
    assert (f'<span class="verdict {kind}" title="">{text}</span>') in page
    assert {row["method"]: row["kNN vs best"] for row in tables.rows(summaries)}["MIRL"] == text
