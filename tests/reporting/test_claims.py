"""Verdicts on claims follow from the interval over seeds of exactly the runs that a claim names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from mimbench.reporting import claims
from mimbench.reporting.collect import collect
from mimbench.reporting.render import markdown
from mimbench.reporting.report import write_report
from mimbench.reporting.summary import summarize

MakeRun = Callable[..., Path]


def claim(*terms: dict[str, Any]) -> dict[str, Any]:
    return {"claim": {"text": "Deeper is better.", "measurements": [{"name": "deepmim - mae", "terms": list(terms)}]}}


LINEAR = {"protocol": "linear-v1", "value": "accuracy"}
PAIR = claim(
    {"weight": 1, "where": {"method": "deepmim"}} | LINEAR, {"weight": -1, "where": {"method": "mae"}} | LINEAR
)


def judged(make_run: MakeRun, gains: list[float], config: dict[str, Any] = PAIR) -> list[claims.Verdict]:
    for seed, gain in enumerate(gains):
        for method, linear in (("mae", 0.5 + 0.01 * seed), ("deepmim", 0.5 + 0.01 * seed + gain)):
            directory = make_run(method, seed, linear=linear, config=config)
    return claims.verdicts(collect(directory.parent))


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ([0.02, 0.03, 0.025], "supports"),
        ([-0.02, -0.03, -0.025], "contradicts"),
        ([0.02, -0.03, 0.025], "undecided"),
        ([0.02], "undecided"),
    ],
)
def test_a_claim_is_judged_by_the_interval_of_differences_paired_by_seed(
    make_run: MakeRun, gains: list[float], verdict: str
) -> None:
    (found,) = judged(make_run, gains)
    assert found.verdict == verdict
    assert found.num_seeds == len(gains)
    assert found.mean == pytest.approx(sum(gains) / len(gains))
    if len(gains) > 1:
        interval = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


WITH_SMALLEST = {"claim": PAIR["claim"] | {"smallest": 0.02}}


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ([0.002, -0.003, 0.0025], "no relevant difference"),
        ([0.02, -0.03, 0.025], "undecided"),
        ([0.002, 0.003, 0.0025], "supports"),
        ([0.002], "undecided"),
    ],
)
def test_an_interval_within_the_smallest_difference_worth_knowing_decides(
    make_run: MakeRun, gains: list[float], verdict: str
) -> None:
    (found,) = judged(make_run, gains, WITH_SMALLEST)
    assert found.verdict == verdict
    assert ("seeds find a difference of 2 points" in found.text) == (verdict == "undecided" and len(gains) > 1)


# G*Power 3.1, one-sample t test, two-sided, 5 %, power 0.8.
@pytest.mark.parametrize(("effect", "seeds"), [(2.0, 5), (1.0, 10), (0.8, 15), (0.5, 34), (0.2, 199)])
def test_the_number_of_seeds_is_that_of_a_power_analysis(effect: float, seeds: int) -> None:
    assert claims.num_seeds(1.0, effect) == seeds
    assert claims.num_seeds(0.01, 0.01 * effect) == seeds


def test_more_than_a_thousand_seeds_are_no_advice() -> None:
    assert claims.num_seeds(1.0, 0.01) is None


def test_a_seed_that_lacks_a_run_is_not_counted(make_run: MakeRun) -> None:
    make_run("mae", 7, config=PAIR)
    (found,) = judged(make_run, [0.02, 0.03, 0.025])
    assert found.num_seeds == 3
    found = claims.verdicts(collect(make_run("mae", 0, config=PAIR, data="digits").parent))
    assert {verdict.setting.split()[0]: verdict.num_seeds for verdict in found} == {"photos": 3, "digits": 0}


def test_settings_are_judged_apart_unless_the_claim_is_about_them(make_run: MakeRun) -> None:
    by_depth = claim(
        {"weight": 1, "where": {"method": "mae", "depth": 8}} | LINEAR,
        {"weight": -1, "where": {"method": "mae", "depth": 4}} | LINEAR,
    )
    for data in ("photos", "digits"):
        for seed in (0, 1):
            make_run("mae", seed, depth=4, data=data, linear=0.5, config=by_depth)
            directory = make_run("mae", seed, depth=8, data=data, linear=0.6 + 0.01 * seed, config=by_depth)
    found = claims.verdicts(collect(directory.parent))
    assert {verdict.setting for verdict in found} == {"photos · vit_demo", "digits · vit_demo"}
    assert [verdict.mean for verdict in found] == pytest.approx([0.105, 0.105])


def test_a_value_of_a_layerwise_curve_is_read_at_its_share_of_the_depth(make_run: MakeRun) -> None:
    half = {"protocol": "layerwise-v1", "value": "linear", "at": 0.5}
    config = claim(
        {"weight": 1, "where": {"method": "deepmim"}} | half, {"weight": -1, "where": {"method": "mae"}} | half
    )
    (found,) = judged(make_run, [0.04], config)
    assert found.mean == pytest.approx(0.04 * 0.75)  # at half the depth the artificial curve has 3/4 of its last value


def test_the_report_prints_the_verdict_and_its_rule(make_run: MakeRun) -> None:
    (found,) = judged(make_run, [0.02, 0.03, 0.025])
    assert found.text.startswith("supports (photos · vit_demo · depth 4): deepmim - mae: +2.5 points [+1.3, +3.7], 3 ")
    directory = make_run("mae", 0, config=PAIR, linear=0.5).parent
    sweep = collect(directory)
    text = markdown.compose(sweep, summarize(sweep), figures=[], warnings=[], out=directory)
    assert "## Claims" in text
    assert "**Deeper is better.**" in text


def test_a_sweep_without_claims_has_no_such_section(make_run: MakeRun) -> None:
    directory = make_run("mae").parent
    write_report(directory)
    assert "Claims" not in (directory / "report" / "report.md").read_text()
    assert 'id="claims"' not in (directory / "report" / "report.html").read_text()


def test_the_page_of_html_has_the_verdict(make_run: MakeRun) -> None:
    judged(make_run, [0.02, 0.03, 0.025])
    directory = make_run("mae", 0, config=PAIR).parent
    write_report(directory)
    html = (directory / "report" / "report.html").read_text()
    assert 'id="claims"' in html
    assert "deepmim - mae" in html
