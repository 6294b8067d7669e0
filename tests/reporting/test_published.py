"""Published numbers are shown for the runs that they belong to, and only for those."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from mimbench.reporting import published
from mimbench.reporting.collect import collect
from mimbench.reporting.render import tables
from mimbench.reporting.summary import summarize

MakeRun = Callable[..., Path]
AXES = {"method": "mae", "encoder": "vit_base", "data": "folder"}
CONFIG = {"budget.epochs": 1600, "masker.ratio": 0.75, "data.source.root": "/somewhere/imagenet"}


def test_the_file_contains_numbers_of_the_papers():
    values = {(r.method, r.encoder, r.where.get("budget.epochs"), r.percent.get("finetune")) for r in published.load()}
    assert {
        ("mae", "vit_huge", 1600, 86.928),
        ("mirl", "vit_b48", 800, 86.2),
        ("localmim", "swin_large", 800, 85.6),
    } <= values
    by_ratio = {r.where["masker.ratio"]: r.percent for r in published.load() if r.ablation == "mae_mask_ratio"}
    assert len(by_ratio) == 10
    assert by_ratio[0.1] == {"finetune": 83.2, "linear": 54.6}
    assert by_ratio[0.75] == {"finetune": 84.9, "linear": 73.5}


def test_every_number_has_a_source_and_is_a_percentage():
    for row in published.load():
        assert row.source
        assert row.encoder
        assert row.data == "imagenet"
        assert all(30 < value < 100 for value in row.percent.values())


def test_a_run_of_the_published_experiment_gets_its_number():
    texts = [row.text for row in published.matching(AXES, CONFIG, ["experiment=mae_vit_base_1600"])]
    assert "finetune 83.664" in texts


def test_a_packed_folder_is_the_same_dataset():
    folder, shards = (published.matching(AXES | {"data": data}, CONFIG, []) for data in ("folder", "shards"))
    assert shards == folder != []


@pytest.mark.parametrize(
    ("axes", "config"),
    [
        ({"encoder": "vit_micro"}, {}),
        ({"method": "deepmim"}, {}),
        ({"data": "photos"}, {}),
        ({}, {"data.source.root": "/somewhere/imagenet100"}),
        ({}, {"masker.ratio": 0.6}),
        ({}, {"budget.epochs": 7}),
    ],
)
def test_another_experiment_gets_none(axes: dict, config: dict):
    assert published.matching(AXES | axes, CONFIG | config, []) == []


def test_numbers_of_an_ablation_are_shown_for_any_encoder_and_data_but_only_in_that_ablation():
    axes, config = {"method": "mae", "encoder": "vit_micro", "data": "photos"}, {"masker.ratio": 0.5}
    (row,) = published.matching(axes, config, ["+ablation=mae_mask_ratio", "masker.ratio=0.5"])
    assert row.percent == {"finetune": 84.9, "linear": 69.9}
    assert "vit_large on imagenet" in row.origin
    assert published.matching(axes, config, ["masker.ratio=0.5"]) == []


def test_tables_show_published_numbers_with_their_source_and_mix_nothing(make_run: MakeRun):
    config = {"masker": {"ratio": 0.5}}
    directory = make_run("mae", knn=0.4, config=config, overrides=["+ablation=mae_mask_ratio", "masker.ratio=0.5"])
    (summary,) = summaries = summarize(collect(directory.parent))
    (row,) = tables.rows(summaries)
    assert row["published"] == "finetune 84.9, linear 69.9 [1]"
    assert [mark for origin, mark in tables.sources(summaries).items() if "figure 5" in origin] == ["[1]"]
    (without,) = tables.rows([dataclasses.replace(summary, published=())])
    assert {name: row[name] for name in without} == without


def test_a_row_with_an_unknown_key_is_refused():
    with pytest.raises(ValueError, match="unknown key 'weights'"):
        list(published._rows({"source": "x", "weights": 1, "rows": []}))
    with pytest.raises(ValueError, match="without a number"):
        list(published._rows({"source": "x", "method": "mae", "encoder": "e", "data": "d", "rows": [{"note": "n"}]}))
