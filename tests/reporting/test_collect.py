"""All runs of a sweep are collected, in every state, and different configurations are never mixed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mimbench.reporting.collect import collect, frame
from mimbench.reporting.summary import summarize

MakeRun = Callable[..., Path]
Plan = Callable[..., Path]


def test_records_are_found_at_any_depth_and_plans_list_missing_runs(make_run: MakeRun, plan: Plan):
    make_run("mae", 0)
    make_run("mae", 1, status="failed", error={"type": "ValueError", "message": "no images"})
    make_run("mae", 2, status="interrupted", error={"type": "KeyboardInterrupt", "message": ""})
    make_run("mae", 3, status="running", finished=None)
    sweep_dir = plan(*[("mae", seed, None) for seed in range(5)], ("mirl", 0, "depth 4 has no six segments"))
    sweep = collect(sweep_dir.parent)
    statuses = {run.name: run.status for run in sweep.runs}
    assert statuses == {
        "mae-d4-photos-s0": "finished",
        "mae-d4-photos-s1": "failed",
        "mae-d4-photos-s2": "interrupted",
        "mae-d4-photos-s3": "running",
        "mae-d4-photos-s4": "planned",
        "mirl-d4-photos-s0": "refused",
    }
    errors = {run.status: run.error for run in sweep.runs}
    assert errors["failed"] == "ValueError: no images"
    assert errors["refused"] == "depth 4 has no six segments"
    assert sweep.name == "demo"


def test_linked_runs_count_once(make_run: MakeRun, tmp_path: Path):
    run, links = make_run("mae"), tmp_path / "links"
    links.mkdir()
    (links / "mae").symlink_to(run)
    (links / "again").symlink_to(run)
    (links / "loop").symlink_to(links)
    assert [run.name for run in collect(links).runs] == ["mae-d4-photos-s0"]
    assert collect(links).warnings == ()


def test_a_broken_record_is_a_warning_and_a_row_that_keeps_its_place_in_the_plan(make_run: MakeRun, plan: Plan):
    broken = make_run("mae", 1)
    (broken / "record.json").write_text("{")
    make_run("mae", 0)
    sweep = collect(plan(("mae", 0, None), ("mae", 1, None)))
    assert [(run.name, run.status) for run in sweep.runs] == [
        ("mae-d4-photos-s0", "finished"),
        ("mae-d4-photos-s1", "lost"),
    ]
    assert any(str(broken / "record.json") in warning for warning in sweep.warnings)
    (row,) = summarize(sweep)
    assert (row.counts["finished"], row.counts["lost"], row.planned) == (1, 1, 2)


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "demo"}', '{"name": "demo", "runs": [{"name": 1}]}'])
def test_a_broken_plan_is_a_warning_and_the_records_still_count(make_run: MakeRun, text: str):
    directory = make_run("mae", 0)
    (directory.parent / "sweep.json").write_text(text)
    sweep = collect(directory.parent)
    assert [run.status for run in sweep.runs] == ["finished"]
    assert "sweep.json" in sweep.warnings[0]


def test_runs_with_another_value_of_a_further_axis_are_never_averaged(make_run: MakeRun):
    for seed in range(2):
        make_run("mae", seed, knn=0.40 + 0.01 * seed, axes={"masker.ratio": 0.75})
        make_run("mae", seed, knn=0.20 + 0.01 * seed, axes={"masker.ratio": 0.6})
        directory = make_run("untrained", seed, knn=0.10 + 0.02 * seed, axes={"masker.ratio": 0.75})
    rows = {row.condition.label: row for row in summarize(collect(directory.parent))}
    assert list(rows) == ["untrained masker.ratio=0.75", "MAE masker.ratio=0.6", "MAE masker.ratio=0.75"]
    assert rows["MAE masker.ratio=0.6"].estimates["knn-v1"].mean == pytest.approx(0.205)
    assert rows["MAE masker.ratio=0.75"].estimates["knn-v1"].mean == pytest.approx(0.405)
    # The only untrained encoder of the setting is the baseline of both.
    assert rows["MAE masker.ratio=0.6"].differences["knn-v1"].mean == pytest.approx(0.095)


def test_an_axis_with_one_value_names_no_variant(make_run: MakeRun):
    directory = make_run("mae", 0, axes={"budget.seconds": 45})
    make_run("deepmim", 0, axes={"budget.seconds": 45})
    assert [run.variant for run in collect(directory.parent).runs] == ["", ""]


def test_runs_of_two_experiments_are_different_variants(make_run: MakeRun):
    make_run("mae", 0, overrides=["experiment=demo", "seed=0", "logger=csv"])
    directory = make_run("mae", 1, overrides=["experiment=long", "seed=1"])
    assert {run.variant for run in collect(directory.parent).runs} == {"experiment=demo", "experiment=long"}


def test_of_two_records_with_the_same_axes_and_seed_the_newest_counts_and_is_named(make_run: MakeRun):
    old = make_run("mae", 0, knn=0.1, identity="old")
    old.rename(old.with_name("elsewhere"))
    make_run("mae", 0, knn=0.4, identity="new", started="2025-02-01T10:00:00+00:00")
    sweep = collect(old.parent)
    assert [run.identity for run in sweep.runs] == ["new"]
    assert "(old)" in sweep.warnings[0]


def test_the_frame_is_tidy(make_run: MakeRun):
    make_run("mae", 0, knn=0.4, linear=0.5)
    directory = make_run("mirl", 1, knn=0.3, linear=None)
    table = frame(collect(directory.parent).runs)
    rows = table[["method", "seed", "protocol", "accuracy", "num_test"]].to_numpy().tolist()
    assert rows == [
        ["mae", 0, "knn-v1", 0.4, 1000.0],
        ["mae", 0, "linear-v1", 0.5, 1000.0],
        ["mirl", 1, "knn-v1", 0.3, 1000.0],
    ]


def test_nothing_to_collect_is_refused_with_the_remedy(tmp_path: Path):
    with pytest.raises(ValueError, match=r"is not a directory\. Give"):
        collect(tmp_path / "absent")
    with pytest.raises(ValueError, match=r"holds no runs.*mimbench run"):
        collect(tmp_path)
