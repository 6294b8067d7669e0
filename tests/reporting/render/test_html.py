"""The page is self-contained, for any size of the sweep and any names of runs."""

import html as htmllib
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from mimbench.reporting import report
from mimbench.reporting.collect import collect
from mimbench.reporting.summary import summarize

MakeRun = Callable[..., Path]
METHODS = ("untrained", "mae", "deepmim", "localmim", "mirl")


def page(directory: Path) -> str:
    sweep = collect(directory)
    return report.write(sweep, summarize(sweep), directory / "report", draw=False).read_text()


def without_library(text: str) -> str:
    """The page without the plotting library."""
    assert text.count(get_plotlyjs()) == 1
    return text.replace(get_plotlyjs(), "")


def embedded(text: str) -> dict:
    found = re.search(r'<script type="application/json" id="payload">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found.group(1))


def test_the_page_contains_one_copy_of_the_library_and_loads_nothing_else(make_run: MakeRun):
    directory = make_run("mae", losses="step,metric,value\n1,train/loss,2\n")
    text = without_library(page(directory.parent))
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//|@import|url\(|fetch\(|XMLHttpRequest""", text)


def test_names_and_errors_are_shown_as_text_never_as_markup(make_run: MakeRun):
    bad = "</script><img src=x onerror=alert(1)>"
    make_run("mae", config={"note": bad})
    make_run("mae", 1, config={"note": "plain"})
    error = {"type": "ValueError", "message": bad}
    directory = make_run(f"mirl{bad}".replace("/", ""), status="failed", error=error)
    text = without_library(page(directory.parent))
    assert "<img src=x" not in text
    assert htmllib.escape(bad) in text
    assert embedded(text)["configs"]["runs"]["mae-d4-photos-s0"]["note"] == bad


def test_the_numbers_embedded_are_those_of_the_table(make_run: MakeRun):
    for seed, knn in enumerate((0.30, 0.34)):
        directory = make_run("mae", seed, knn=knn, config={"trainer": {"devices": 4, "num_nodes": 2}})
    values = embedded(page(directory.parent))
    (condition,) = values["conditions"]
    assert condition["estimates"]["knn-v1"][0] == pytest.approx(32)
    assert condition["estimates"]["knn-v1"][3] == 2
    assert condition["costs"] == {"flops": 2e13, "hours": pytest.approx(90 * 8 / 3600, rel=1e-3), "time": 1.5}
    last = {line["quantity"]: line["y"][-1] for line in values["layerwise"]}
    assert last["knn-v1"] == pytest.approx(32)


def test_recorded_device_time_takes_precedence_over_the_configuration(make_run: MakeRun):
    cost = {"device_seconds": 7200.0}
    directory = make_run("mae", config={"trainer": {"devices": 1, "num_nodes": 1}}, cost=cost)
    (summary,) = summarize(collect(directory.parent))
    assert summary.device_hours == 2


def test_rows_have_the_values_of_the_filters_and_mark_missing_runs(make_run: MakeRun):
    make_run("untrained")
    make_run("mae", 0)
    directory = make_run("mae", 1, status="interrupted")
    text = page(directory.parent)
    rows = re.findall(r'<tr data-row="\d+" data-data="(\w+)" data-depth="(\d+)" data-method="(\w+)"', text)
    assert rows[:2] == [("photos", "4", "untrained"), ("photos", "4", "MAE")]
    assert text.count('title="fewer runs than planned"') == 2  # two protocols of one condition
    assert "(n=1/2)" in text


@pytest.mark.parametrize("case", ["nothing finished", "one run", "no protocol", "broken"])
def test_a_sweep_with_few_results_still_has_a_page(make_run: MakeRun, case: str):
    directory = make_run("mae", **({"status": "running"} if case == "nothing finished" else {}))
    if case == "no protocol":
        directory = make_run("mae", metrics={"val/loss": 0.5})
    if case == "broken":
        (directory / "record.json").write_text("{")
    assert "How the numbers are computed" in page(directory.parent)


def test_a_hundred_runs_stay_below_eight_megabytes(make_run: MakeRun, write_reconstructions: Callable[..., None]):
    rng = np.random.default_rng(0)
    steps = "".join(
        f"{s},{metric},{rng.random():.6f}\n" for s in range(0, 2000, 10) for metric in ("train/loss", "throughput")
    )
    steps += "".join(f"{s},val/loss,{rng.random():.6f}\n" for s in range(0, 2000, 100))
    for data in ("photos", "digits"):
        for depth in (12, 24):
            for method in METHODS:
                for seed in range(5):
                    analysis = {"depths": list(range(depth)), "rank": rng.random(depth).tolist()}
                    config = {f"key{i}": rng.random() for i in range(40)} | {"seed": seed}
                    directory = make_run(
                        method,
                        seed,
                        data=data,
                        depth=depth,
                        losses="step,metric,value\n" + steps,
                        analysis=analysis,
                        config=config,
                    )
                    write_reconstructions(
                        directory, {f"depth{k}": 20 * k for k in range(4)}, mask=seed, side=96, num_images=8
                    )
    text = page(directory.parent)
    assert len(collect(directory.parent).finished) == 100
    assert len(embedded(text)["curves"]) == 300
    assert len(text.encode()) < 8e6
