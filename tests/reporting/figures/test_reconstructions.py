"""Reconstructions are grouped by equal images and masks."""

import base64
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from mimbench.reporting.collect import collect
from mimbench.reporting.figures.reconstructions import reconstructions

MakeRun = Callable[..., Path]
WriteReconstructions = Callable[..., None]


def pixels(strip: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(strip.partition(",")[2]))))


def test_runs_with_equal_masks_share_a_group_and_others_do_not(
    make_run: MakeRun, write_reconstructions: WriteReconstructions
):
    write_reconstructions(make_run("mae"), {"depth4": 100}, mask=10)
    write_reconstructions(make_run("mirl"), {"shallow": 50, "shallow_and_residual": 150}, mask=10)
    write_reconstructions(make_run("deepmim"), {"depth4": 70}, mask=90)
    directory = make_run("localmim")
    groups = reconstructions(collect(directory.parent).finished, [])
    # In the order of the table: deepmim first.
    assert [[p.condition.method for p in group.predictions] for group in groups] == [
        ["deepmim"],
        ["mae", "mirl", "mirl"],
    ]
    assert [p.branch for p in groups[1].predictions] == ["depth4", "shallow", "shallow_and_residual"]
    middles = [np.median(pixels(p.strip)) for p in groups[1].predictions]
    np.testing.assert_allclose(middles, [100, 50, 150], atol=3)  # webp is lossy


def test_one_seed_per_condition_is_shown_the_smallest(make_run: MakeRun, write_reconstructions: WriteReconstructions):
    for seed in (2, 1):
        directory = make_run("mae", seed)
        write_reconstructions(directory, {"depth4": 100})
    (group,) = reconstructions(collect(directory.parent).finished, [])
    assert [p.seed for p in group.predictions] == [1]


def test_a_figure_without_legend_or_with_missing_bytes_is_left_out_with_a_warning(
    make_run: MakeRun, write_reconstructions: WriteReconstructions
):
    first, second = make_run("mae"), make_run("mirl")
    for directory in (first, second):
        write_reconstructions(directory, {"depth4": 100})
    (first / "figures" / "reconstructions.json").unlink()
    path = second / "figures" / "reconstructions.png"
    path.write_bytes(path.read_bytes()[:40])
    warnings: list[str] = []
    assert reconstructions(collect(first.parent).finished, warnings) == []
    assert "2 conditions" in warnings[0]


def test_images_stop_before_the_page_grows_too_large(
    make_run: MakeRun, write_reconstructions: WriteReconstructions, monkeypatch
):
    for method in ("mae", "mirl"):
        directory = make_run(method)
        write_reconstructions(directory, {"depth4": 100})
    (group,) = reconstructions(collect(directory.parent).finished, [])
    size = sum(map(len, (group.image, group.visible, group.predictions[0].strip)))
    monkeypatch.setattr("mimbench.reporting.figures.reconstructions._MAX_BYTES", size + 10)
    warnings: list[str] = []
    (group,) = reconstructions(collect(directory.parent).finished, warnings)
    assert [p.condition.method for p in group.predictions] == ["mae"]
    assert "1 conditions" in warnings[0]
