"""The order of an ablation's rows against the published order."""

from collections.abc import Callable
from pathlib import Path

import pytest
from scipy import stats

from mimbench.reporting.agreement import Agreement, agreements
from mimbench.reporting.collect import collect
from mimbench.reporting.report import write_report
from mimbench.reporting.summary import summarize

MakeRun = Callable[..., Path]
LINEAR = {0.1: 54.6, 0.5: 69.9, 0.75: 73.5, 0.9: 66.1}  # MAE, figure 5


def sweep(make_run: MakeRun, ours: dict[float, tuple[float, ...]]) -> Path:
    for ratio, accuracies in ours.items():
        for seed, accuracy in enumerate(accuracies):
            run = make_run(
                "mae",
                seed,
                linear=accuracy,
                axes={"masker.ratio": ratio},
                config={"masker": {"ratio": ratio}},
                overrides=["+ablation=mae_mask_ratio", f"masker.ratio={ratio}"],
            )
    return run.parent


def linear(make_run: MakeRun, ours: dict[float, tuple[float, ...]]) -> list[Agreement]:
    return [found for found in agreements(summarize(collect(sweep(make_run, ours)))) if found.protocol == "linear"]


def test_rho_is_that_of_scipy_for_the_means(make_run: MakeRun) -> None:
    ours = {0.1: (0.30, 0.32), 0.5: (0.50, 0.51), 0.75: (0.40, 0.44), 0.9: (0.35, 0.37)}
    (found,) = linear(make_run, ours)
    means = [sum(values) / 2 for values in ours.values()]
    assert found.rho == pytest.approx(stats.spearmanr(means, list(LINEAR.values())).statistic)
    assert (found.num_rows, found.num_seeds) == (4, 2)
    assert "MAE, figure 5 (mask ratio), linear" in found.text
    assert "rho +0.80 [" in found.text


def test_the_interval_is_a_point_without_noise_and_wide_with_much(make_run: MakeRun) -> None:
    certain = {ratio: (value / 100, value / 100 + 1e-4) for ratio, value in LINEAR.items()}
    (found,) = linear(make_run, certain)
    assert (found.rho, found.low, found.high) == pytest.approx((1, 1, 1))
    noisy = {ratio: (0.2, 0.4 + value / 1000, 0.6) for ratio, value in LINEAR.items()}
    (found,) = linear(make_run, noisy)
    assert found.low < -0.5
    assert found.high > 0.9


def test_one_seed_has_no_interval_and_two_rows_no_order(make_run: MakeRun) -> None:
    (found,) = linear(make_run, {ratio: (value / 100,) for ratio, value in LINEAR.items()})
    assert found.text.endswith("rho +1.00, 4 rows, 1 seed.")
    assert "[" not in found.text


def test_two_rows_and_equal_results_say_nothing(make_run: MakeRun) -> None:
    assert linear(make_run, {0.1: (0.3,), 0.5: (0.4,)}) == []


def test_rows_of_equal_results_have_no_order(make_run: MakeRun) -> None:
    assert linear(make_run, dict.fromkeys(LINEAR, (0.5, 0.5))) == []


def test_the_reports_have_the_sentence_and_its_method(make_run: MakeRun) -> None:
    page = write_report(sweep(make_run, {ratio: (value / 100,) for ratio, value in LINEAR.items()}))
    for text in (page.read_text(), page.with_suffix(".md").read_text()):
        assert "Published order" in text
        assert "rho +1.00, 4 rows, 1 seed." in text
        assert "Spearman" in text


def test_sweeps_without_an_ablation_have_no_section(make_run: MakeRun) -> None:
    page = write_report(make_run("mae", 0).parent)
    assert "Published order" not in page.read_text()
