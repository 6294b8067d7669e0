"""The rows of the comparison, and who leads."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mimbench.reporting.collect import collect
from mimbench.reporting.summary import findings, summarise, titles

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
    rows = [row.condition[:4] for row in summarise(collect(directory.parent))]
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
    (row,) = summarise(collect(plan(*[("mae", seed, None) for seed in range(4)])))
    assert row.estimates["knn-v1"].mean == pytest.approx(0.35)
    assert row.estimates["knn-v1"].n == 2
    assert row.training_flops == 2e13
    assert (row.counts["finished"], row.planned) == (2, 4)
    assert [run.status for run in row.runs if run.status != "finished"] == ["interrupted", "missing"]


def test_the_baseline_is_the_untrained_encoder_of_the_same_data_and_depth(make_run: MakeRun):
    for depth, untrained in ((4, 0.1), (8, 0.3)):
        make_run("untrained", depth=depth, knn=untrained)
        directory = make_run("mae", depth=depth, knn=0.5)
    make_run("mae", data="digits", knn=0.9)
    gains = {row.condition[:4]: row.differences for row in summarise(collect(directory.parent))}
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
    (finding,) = findings(summarise(collect(directory.parent)))
    assert finding.runner_up is not None
    assert (finding.leader.condition.method, finding.runner_up.condition.method) == ("mirl", "mae")
    assert finding.lead is not None
    assert finding.lead.verdict == "better"
    assert (finding.num_better, finding.num_methods) == (2, 3)


def test_titles_name_the_version_only_where_two_meet():
    assert titles(["linear-v1", "knn-v1", "attentive-v1"]) == {
        "knn-v1": "kNN",
        "linear-v1": "linear",
        "attentive-v1": "attentive",
    }
    assert titles(["knn-v2", "knn-v1"]) == {"knn-v1": "kNN v1", "knn-v2": "kNN v2"}
