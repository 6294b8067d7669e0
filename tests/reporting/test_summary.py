"""The rows of the comparison, and the leaders of settings."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mimbench.reporting.collect import collect
from mimbench.reporting.comparisons import compare
from mimbench.reporting.protocol_names import titles
from mimbench.reporting.render.sentences import answer
from mimbench.reporting.statistics import Sample, difference, holm
from mimbench.reporting.summary import num_comparisons, summarize

MakeRun = Callable[..., Path]
Plan = Callable[..., Path]


def test_rows_are_sorted_by_setting_with_the_untrained_encoder_first(make_run: MakeRun):
    for data, depth, method in [
        ("photos", 4, "mae"),
        ("photos", 4, "untrained"),
        ("photos", 12, "mae"),
        ("digits", 4, "mae"),
    ]:
        directory = make_run(method, data=data, depth=depth)
    rows = [row.condition[:4] for row in summarize(collect(directory.parent))]
    assert rows == [
        ("digits", "vit_demo", 4, "mae"),
        ("photos", "vit_demo", 4, "untrained"),
        ("photos", "vit_demo", 4, "mae"),
        ("photos", "vit_demo", 12, "mae"),
    ]


def test_only_finished_runs_count_and_the_others_stay_visible(make_run: MakeRun, plan: Plan):
    make_run("mae", 0, knn=0.30)
    make_run("mae", 1, knn=0.40)
    make_run("mae", 2, knn=0.90, status="interrupted", cost={"training_flops": 9e20})
    (row,) = summarize(collect(plan(*[("mae", seed, None) for seed in range(4)])))
    assert row.estimates["knn-v1"].mean == pytest.approx(0.35)
    assert row.estimates["knn-v1"].n == 2
    assert row.training_flops == 2e13
    assert (row.counts["finished"], row.planned) == (2, 4)
    assert [run.status for run in row.runs if run.status != "finished"] == ["interrupted", "planned"]


def test_the_baseline_is_the_untrained_encoder_of_the_same_data_and_depth(make_run: MakeRun):
    for depth, untrained in ((4, 0.1), (8, 0.3)):
        make_run("untrained", depth=depth, knn=untrained)
        directory = make_run("mae", depth=depth, knn=0.5)
    make_run("mae", data="digits", knn=0.9)
    gains = {row.condition[:4]: row.differences for row in summarize(collect(directory.parent))}
    assert gains["photos", "vit_demo", 4, "mae"]["knn-v1"].mean == pytest.approx(0.4)
    assert gains["photos", "vit_demo", 8, "mae"]["knn-v1"].mean == pytest.approx(0.2)
    assert gains["photos", "vit_demo", 4, "untrained"] == {}
    assert gains["digits", "vit_demo", 4, "mae"] == {}


def test_the_leader_is_compared_with_the_next_and_all_with_the_untrained_encoder(make_run: MakeRun):
    for seed, noise in enumerate((-0.01, 0.0, 0.012)):
        make_run("untrained", seed, knn=0.30 + noise, linear=None)
        make_run("mae", seed, knn=0.40 + 0.5 * noise, linear=None)
        make_run("mirl", seed, knn=0.45 - 0.5 * noise, linear=None)
        directory = make_run("deepmim", seed, knn=0.30 - noise, linear=None)
    (comparison,) = compare(summarize(collect(directory.parent)))
    assert comparison.runner_up is not None
    assert (comparison.leader.condition.method, comparison.runner_up.condition.method) == ("mirl", "mae")
    assert comparison.lead is not None
    assert comparison.lead.verdict == "better"
    assert (comparison.num_better, comparison.num_methods) == (2, 3)


def test_titles_name_the_version_only_where_two_meet():
    assert titles(["linear-v1", "knn-v1", "attentive-v1"]) == {
        "knn-v1": "kNN",
        "linear-v1": "linear",
        "attentive-v1": "attentive",
    }
    # Changed parameters and other data are always part of the title.
    assert titles(["linear-v1+epochs=5", "knn-v1@photos"]) == {
        "knn-v1@photos": "kNN @photos",
        "linear-v1+epochs=5": "linear +epochs=5",
    }
    assert titles(["knn-v2", "knn-v1"]) == {"knn-v1": "kNN v1", "knn-v2": "kNN v2"}


def test_the_answer_counts_settings_led_and_those_beyond_noise(make_run: MakeRun):
    for data, mirl in (("photos", 0.50), ("digits", 0.404)):
        for seed, noise in enumerate((-0.010, 0.0, 0.011, -0.004, 0.007)):
            make_run("mae", seed, data=data, knn=0.40 + noise, linear=None)
            directory = make_run("mirl", seed, data=data, knn=mirl - noise * 1.1, linear=None)
    sentences = answer(summarize(collect(directory.parent)))
    assert sentences == ["kNN: MIRL leads in 2 of 2 settings, beyond noise in 1."]


@pytest.mark.parametrize(
    ("untrained", "ending"),
    [
        ({}, "beyond noise"),
        ({"photos": 0.3}, "beyond noise; it beats the untrained encoder"),
        ({"photos": 0.495}, "beyond noise; it does not beat the untrained encoder"),
        ({"photos": 0.55}, "beyond noise; it is worse than the untrained encoder"),
        ({"photos": 0.495, "digits": 0.3}, "beyond noise; it beats the untrained encoder in 1 of 2"),
        ({"photos": 0.55, "digits": 0.3}, "beyond noise; it beats the untrained encoder in 1 of 2 and is worse in 1"),
    ],
)
def test_the_answer_says_whether_the_leader_beats_the_untrained_encoder(
    make_run: MakeRun, untrained: dict[str, float], ending: str
):
    for data in ("photos", "digits"):
        for seed, noise in enumerate((-0.010, 0.0, 0.011, -0.004, 0.007)):
            make_run("mae", seed, data=data, knn=0.40 + noise, linear=None)
            directory = make_run("mirl", seed, data=data, knn=0.50 - noise, linear=None)
            if data in untrained:
                make_run("untrained", seed, data=data, knn=untrained[data] + 0.5 * noise, linear=None)
    (sentence,) = answer(summarize(collect(directory.parent)))
    assert sentence == f"kNN: MIRL leads in 2 of 2 settings, {ending}."


@pytest.mark.parametrize(("knn", "verb"), [(0.6, "beats"), (0.31, "does not beat"), (0.1, "is worse than")])
def test_with_one_method_the_answer_is_about_the_untrained_encoder(make_run: MakeRun, knn: float, verb: str):
    make_run("untrained", knn=0.3, linear=None)
    directory = make_run("mae", knn=knn, linear=None)
    (sentence,) = answer(summarize(collect(directory.parent)))
    assert sentence == f"kNN: pre-training {verb} the untrained encoder."


def test_the_leader_is_found_on_the_seeds_that_all_have(make_run: MakeRun):
    """LocalMIM is better by six points on the one seed that both have."""
    for seed, accuracy in enumerate((0.60, 0.61, 0.72)):
        make_run("localmim", seed, knn=accuracy, linear=None)
    directory = make_run("mae", 2, knn=0.66, linear=None)
    localmim, mae = summarize(collect(directory.parent))
    assert (mae.condition.method, localmim.leads, mae.leads) == ("mae", {"knn-v1"}, set())
    assert mae.behind["knn-v1"].mean == pytest.approx(-0.06)
    (sentence,) = answer([localmim, mae])
    assert sentence.startswith("kNN: LocalMIM leads in the only setting, ")
    assert "†" in sentence


def test_without_a_common_seed_the_leader_is_found_on_all(make_run: MakeRun):
    make_run("localmim", 0, knn=0.60, linear=None)
    directory = make_run("mae", 1, knn=0.66, linear=None)
    localmim, mae = summarize(collect(directory.parent))
    assert (mae.leads, localmim.leads, localmim.behind) == ({"knn-v1"}, set(), {})


def test_all_pairs_count_since_any_could_have_led(make_run: MakeRun):
    for seed, noise in enumerate((-0.01, 0.0, 0.012)):
        make_run("untrained", seed, knn=0.3 + noise, linear=None)
        for i, method in enumerate(("mae", "mirl", "deepmim", "localmim")):
            directory = make_run(method, seed, knn=0.4 + 0.01 * i + noise * (-1) ** i, linear=None)
    rows = summarize(collect(directory.parent))
    gains = [gain for row in rows for gain in (*row.differences.values(), *row.behind.values())]
    assert (len(gains), num_comparisons(rows)) == (7, 10)  # four with the untrained encoder, six pairs
    np.testing.assert_allclose([gain.adjusted for gain in gains], holm([gain.p for gain in gains], further=3))
    least = min(gains, key=lambda gain: gain.p)
    assert least.adjusted == pytest.approx(min(1, 10 * least.p))


def test_the_best_of_equal_methods_is_a_false_positive_in_one_table_of_twenty():
    """Six methods with the same true accuracy, each tested on 1,000 other images."""
    rng, positives = np.random.default_rng(0), {"all pairs": 0, "pairs with the best": 0}
    for accuracies in rng.binomial(1000, 0.5, (400, 6)) / 1000:
        *rest, best = (Sample({0: accuracy}, 1000) for accuracy in sorted(accuracies.tolist()))
        p = [gain.p for sample in rest if (gain := difference(sample, best))]
        positives["all pairs"] += min(holm(p, further=10)) < 0.05
        positives["pairs with the best"] += min(holm(p)) < 0.05
    assert positives["all pairs"] <= 29  # of 400; more than 29 have a probability of 1/50 if the rate is 1/20
    assert positives["pairs with the best"] > 29


def test_p_values_are_corrected_for_every_comparison_of_the_table(make_run: MakeRun):
    for data in ("photos", "digits"):
        for seed, noise in enumerate((-0.01, 0.0, 0.012)):
            make_run("untrained", seed, data=data, knn=0.3 + noise, linear=0.4 - noise)
            make_run("mae", seed, data=data, knn=0.33 - noise, linear=0.45 + noise)
            directory = make_run("mirl", seed, data=data, knn=0.36 + 0.5 * noise, linear=0.42)
    rows = summarize(collect(directory.parent))
    gains = [gain for row in rows for gain in (*row.differences.values(), *row.behind.values())]
    # Two datasets, two protocols: two methods against the untrained encoder and one against the leader.
    assert len(gains) == num_comparisons(rows) == 12
    np.testing.assert_allclose([gain.adjusted for gain in gains], holm([gain.p for gain in gains]))
    assert all(gain.adjusted >= gain.p for gain in gains)


def test_answers_by_image_reach_the_comparison(make_run: MakeRun):
    right = [image < 400 for image in range(1000)]
    better = [image < 430 for image in range(1000)]
    make_run("untrained", knn=0.4, linear=None, correct={"knn-v1": right})
    directory = make_run("mae", knn=0.43, linear=None, correct={"knn-v1": better})
    gain = summarize(collect(directory.parent))[1].differences["knn-v1"]
    assert (gain.source, gain.verdict) == ("bootstrap over test images", "better")


def test_other_headlines_enter_the_table_without_intervals_of_proportions(make_run: MakeRun):
    metrics = {"segment-linear-v1": {"miou": 0.25, "num_test": 50}, "detect-v1": {"ap_box": 0.1, "ap_mask": 0.2}}
    directory = make_run("mae", metrics=metrics | {"by_step": {"knn-v1": {}}, "val/loss": 0.3})
    (row,) = summarize(collect(directory.parent))
    assert {name: estimate.mean for name, estimate in row.estimates.items()} == {
        "segment-linear-v1": 0.25,
        "detect-v1": 0.1,
    }
    assert all(np.isnan(estimate.low) for estimate in row.estimates.values())


def test_answers_that_do_not_belong_to_the_accuracy_are_left_out(make_run: MakeRun):
    right = [image < 400 for image in range(1000)]
    make_run("untrained", knn=0.4, linear=None, correct={"knn-v1": right})
    directory = make_run("mae", knn=0.43, linear=None, correct={"knn-v1": right})
    gain = summarize(collect(directory.parent))[1].differences["knn-v1"]
    assert (gain.source, gain.mean) == ("Newcombe over test images", pytest.approx(0.03))


def test_untrained_encoders_of_several_budgets_are_one_baseline(make_run: MakeRun):
    for epochs in (1, 2):
        make_run("untrained", knn=0.4, linear=None, axes={"budget.epochs": epochs})
    directory = make_run("mae", knn=0.5, linear=None, axes={"budget.epochs": 3})
    *_, mae = summarize(collect(directory.parent))
    assert mae.differences["knn-v1"].mean == pytest.approx(0.1)


def test_no_interval_leaves_what_an_accuracy_can_be(make_run: MakeRun):
    for seed, knn in enumerate((0.99, 0.85, 0.97)):
        directory = make_run("mae", seed, knn=knn, linear=1 - knn)
    (row,) = summarize(collect(directory.parent))
    assert row.estimates["knn-v1"].high == 1
    assert row.estimates["linear-v1"].low == 0


def test_the_best_epoch_does_not_count(make_run: MakeRun):
    directory = make_run("mae", knn=0.4, linear=None, losses="step,metric,value\n1,knn,0.9\n2,knn,0.4\n")
    (row,) = summarize(collect(directory.parent))
    assert row.estimates["knn-v1"].mean == 0.4
