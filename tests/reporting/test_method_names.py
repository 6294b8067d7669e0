"""Methods have the names of their papers in reports and their keys in CSV."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mimbench.reporting.collect import collect
from mimbench.reporting.method_names import display
from mimbench.reporting.render import tables
from mimbench.reporting.summary import summarize

MakeRun = Callable[..., Path]
CONF = Path(__file__).parents[2] / "conf" / "method"


def test_every_method_of_the_package_has_a_name() -> None:
    names = {yaml.safe_load(path.read_text())["name"] for path in CONF.glob("*.yaml")}
    assert {display(name) for name in names} == {
        *("CrossMAE", "DeepMIM", "I-JEPA", "LocalMIM", "MAE", "MFF", "MIRL", "MaskFeat", "SimMIM", "untrained"),
    }


@pytest.mark.parametrize(
    ("method", "variant", "expected"),
    [
        ("mae", "", "MAE"),
        ("half_way", "", "half_way"),
        ("mae", "masker.ratio=0.6 target=hog", "MAE masker.ratio=0.6 target=hog"),
        ("mae", "method._target_=my_lab.methods.HalfWay", "HalfWay"),
        ("mae", "budget.epochs=3 method._target_=my_lab.methods.HalfWay", "HalfWay budget.epochs=3"),
        ("mae", "target._target_=my_lab.targets.Edges", "MAE Edges"),
    ],
)
def test_names_of_methods_and_classes(method: str, variant: str, expected: str) -> None:
    assert display(method, variant) == expected


def test_tables_for_readers_have_names_and_csv_has_keys(make_run: MakeRun) -> None:
    make_run("ijepa", axes={"method._target_": "my_lab.methods.HalfWay"})
    sweep = collect(make_run("ijepa").parent)
    summaries = summarize(sweep)
    assert [row["method"] for row in tables.rows(summaries)] == ["I-JEPA", "HalfWay"]
    assert [row["method"] for row in csv.DictReader(io.StringIO(tables.csv(summaries)))] == ["ijepa", "ijepa"]
