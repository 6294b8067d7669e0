"""Contents of the figures, in every state of a sweep."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rcParams

from mimbench.reporting import curves
from mimbench.reporting.collect import collect
from mimbench.reporting.cost import COSTS
from mimbench.reporting.figures import palette, static
from mimbench.reporting.summary import summarize

MakeRun = Callable[..., Path]
LOSSES = "step,metric,value\n0,train/loss,1.0\n0,lr,0.1\n1,train/loss,0.5\n1,val/loss,0.6\n"


def test_layerwise_lines_are_the_means_over_seeds_in_each_methods_color(make_run: MakeRun):
    for seed, knn in enumerate((0.30, 0.40)):
        directory = make_run("mae", seed, knn=knn)
    figure = static.layerwise(curves.layerwise(collect(directory.parent).runs))
    assert figure is not None
    (line,) = figure.axes[0].lines
    np.testing.assert_allclose(line.get_xdata(), [0, 1, 2, 3, 4])
    np.testing.assert_allclose(line.get_ydata(), 35 * np.array([0.5, 0.625, 0.75, 0.875, 1.0]))
    assert line.get_color() == palette.colors(["MAE"])["MAE"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["kNN (%)", "linear (%)"]


def test_accuracy_by_method_has_a_row_per_method_with_its_interval_and_the_untrained_encoder_as_a_line(
    make_run: MakeRun,
):
    make_run("untrained", knn=0.2)
    for seed, knn in enumerate((0.30, 0.40)):
        directory = make_run("mae", seed, knn=knn)
    make_run("mae", depth=12, knn=0.5)
    summaries = summarize(collect(directory.parent))
    figure = static.accuracy_by_method(summaries)
    assert figure is not None
    knn, _, deep, _ = figure.axes
    assert [axes.get_title() for axes in (knn, deep)] == [
        "photos · vit_demo · depth 4",
        "photos · vit_demo · depth 12",
    ]
    assert [label.get_text() for label in knn.get_yticklabels()] == ["untrained", "MAE"]
    points = [container.lines[0].get_xdata()[0] for container in knn.containers]
    np.testing.assert_allclose(points, [20, 35])
    interval = next(s for s in summaries if s.condition.label == "MAE").estimates["knn-v1"]
    (bars,) = knn.containers[1].lines[2]
    np.testing.assert_allclose(bars.get_segments()[0][:, 0], [100 * interval.low, 100 * interval.high])
    assert any(list(line.get_xdata()) == [20, 20] and line.get_linestyle() == "--" for line in knn.lines)


def test_accuracy_by_depth_needs_two_depths(make_run: MakeRun):
    directory = make_run("mae", depth=4, knn=0.3)
    assert static.accuracy_by_depth(summarize(collect(directory.parent))) is None
    make_run("mae", depth=12, knn=0.5)
    figure = static.accuracy_by_depth(summarize(collect(directory.parent)))
    assert figure is not None
    np.testing.assert_allclose(figure.axes[0].containers[0].lines[0].get_ydata().astype(float), [30, 50])


def test_accuracy_by_cost_has_a_point_per_condition_and_the_front_on_a_logarithmic_axis(make_run: MakeRun):
    make_run("untrained", knn=0.2)
    make_run("mae", knn=0.3, cost={"training_flops": 1e13})
    directory = make_run("mirl", knn=0.4, cost={"training_flops": 5e15})
    figure = static.accuracy_by_cost(summarize(collect(directory.parent)), COSTS["flops"])
    assert figure is not None
    axes = figure.axes[0]
    points = sorted((*container.lines[0].get_xdata(), *container.lines[0].get_ydata()) for container in axes.containers)
    np.testing.assert_allclose(points, [(1e13, 30), (5e15, 40)])
    assert axes.get_xscale() == "log"
    assert any(text.get_text() == "untrained, depth 4" for text in axes.texts)
    (front,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    np.testing.assert_allclose(np.transpose(front.get_data()), [(1e13, 30), (5e15, 40)])


def test_loss_curves_contain_the_logged_losses_and_ignore_an_incomplete_line(make_run: MakeRun):
    directory = make_run("mae", losses=LOSSES + "2,train/lo")
    make_run("mirl", losses=LOSSES + "2,val/loss,7")
    found = curves.losses(collect(directory.parent).runs, [])
    by_name = {(curve.condition.method, curve.metric): curve for curve in found}
    np.testing.assert_array_equal(by_name["mae", "train/loss"].steps, [0, 1])
    np.testing.assert_array_equal(by_name["mae", "train/loss"].values, [1.0, 0.5])
    np.testing.assert_array_equal(by_name["mae", "val/loss"].values, [0.6])
    np.testing.assert_array_equal(by_name["mirl", "val/loss"].values, [0.6])
    figure = static.losses(found)
    assert figure is not None
    assert len(figure.axes) == 2
    # A line with one point would be invisible.
    markers = {len(line.get_xdata()): line.get_marker() for axes in figure.axes for line in axes.lines}
    assert markers == {2: "", 1: "."}


def test_an_unreadable_curve_is_named(make_run: MakeRun):
    directory = make_run("mae", losses="epoch,loss\n1,2\n")
    warnings: list[str] = []
    assert curves.losses(collect(directory.parent).runs, warnings) == []
    assert "metrics.csv" in warnings[0]


def test_long_curves_are_thinned_by_means(make_run: MakeRun):
    rows = "".join(f"{step},train/loss,{step % 2}\n" for step in range(3000))
    directory = make_run("mae", losses="step,metric,value\n" + rows)
    (curve,) = curves.losses(collect(directory.parent).runs, [])
    assert len(curve.steps) == 150
    np.testing.assert_allclose(curve.values, 0.5)


def test_methods_keep_their_color_whatever_else_is_in_the_sweep():
    alone, together = palette.colors(["MAE"]), palette.colors(["abc", "MAE", "zzz"])
    assert alone["MAE"] == together["MAE"]
    assert len({together[name] for name in ("abc", "zzz", "MAE", "DeepMIM", "LocalMIM", "MIRL", "untrained")}) == 7


def test_labels_at_line_ends_do_not_overlap(make_run: MakeRun):
    for method in ("mae", "deepmim", "localmim", "mirl", "untrained"):
        directory = make_run(method, knn=0.4, linear=0.5)
    figure = static.layerwise(curves.layerwise(collect(directory.parent).runs))
    assert figure is not None
    figure.draw_without_rendering()
    boxes = sorted((text.get_window_extent() for text in figure.axes[0].texts), key=lambda box: box.y0)
    assert len(boxes) == 5
    assert all(lower.y1 <= upper.y0 for lower, upper in pairwise(boxes))


def test_matplotlibs_settings_are_left_alone(make_run: MakeRun):
    before = dict(rcParams)
    with palette.style():
        static.draw(collect(make_run("mae").parent), [], [])
    assert dict(rcParams) == before


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_sweep_gives_the_same_image(make_run: MakeRun, kind: str):
    table = curves.layerwise(collect(make_run("mae").parent).runs)

    def image() -> bytes:
        with palette.style():
            figure = static.layerwise(table)
            assert figure is not None
            return palette.encode(figure, kind)

    assert image() == image()


def test_throughput_is_a_curve_of_its_own_and_lines_out_of_order_are_sorted(make_run: MakeRun):
    directory = make_run("mae", losses="step,metric,value\n5,throughput,90\n1,throughput,100\nx,throughput,1\n")
    (curve,) = curves.losses(collect(directory.parent).runs, [])
    assert curve.metric == "throughput"
    np.testing.assert_array_equal(curve.steps, [1, 5])
    np.testing.assert_array_equal(curve.values, [100, 90])
    figure = static.throughput([curve])
    assert figure is not None
    assert figure.axes[0].get_ylabel() == "images per second"


def test_lists_by_depth_of_an_analysis_are_drawn_next_to_the_accuracies(make_run: MakeRun):
    analysis = {
        "depths": [0, 2, 4],
        "rank": [3.0, 9.0, 5.0],
        "cka_to_last": [0.1, 0.5, 1.0],
        "note": "x",
        "pair": [1, 2],
    }
    directory = make_run("mae", analysis=analysis)
    table = curves.layerwise(collect(directory.parent).runs)
    assert set(table["quantity"]) == {"knn-v1", "linear-v1", "rank", "cka_to_last"}
    figure = static.layerwise(table)
    assert figure is not None
    by_name = {axes.get_ylabel(): axes for axes in figure.axes}
    np.testing.assert_allclose(by_name["rank"].lines[0].get_ydata(), [3, 9, 5])
    assert "CKA to the last depth" in by_name


def test_intervals_over_test_images_only_have_hollow_markers(make_run: MakeRun):
    for seed in range(2):
        make_run("mae", seed, knn=0.4 + 0.01 * seed)
    sweep = collect(make_run("mirl", 0).parent)
    figure = static.accuracy_by_method(summarize(sweep))
    assert figure is not None
    faces = [container.lines[0].get_markerfacecolor() for container in figure.axes[0].containers]
    assert [face == "white" for face in faces] == [False, True]
