"""All results as a frame and as the command `mimbench runs` lists them."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mimbench.runs
from mimbench.cli import main
from mimbench.runs.conditions import parse

RUNS_0_1_0 = Path(__file__).parents[1] / "runs_0.1.0" / "demo"


@pytest.fixture
def sweeps(tmp_path: Path) -> Path:
    """The runs of 0.1.0, and the same as sweep `other` with another depth and version and a result of a checkpoint."""
    shutil.copytree(RUNS_0_1_0, tmp_path / "demo")
    shutil.copytree(RUNS_0_1_0, tmp_path / "other")
    for path in (tmp_path / "other").glob("*/record.json"):
        record = json.loads(path.read_text())
        record["axes"] |= {"depth": 12, "masker.ratio": 0.6, "protocol": "[knn]"}
        record["environment"]["mimbench"] = "0.2.0"
        record["metrics"]["by_step"] = {"knn-v1": {"500": {"epoch": 3, "accuracy": 0.25, "num_test": 451}}}
        path.write_text(json.dumps(record | {"sweep": "other"}))
    return tmp_path


def recorded(path: Path, protocol: str) -> float:
    return json.loads((path / "record.json").read_text())["metrics"][protocol]["accuracy"]


def test_every_headline_of_every_run_is_a_row(sweeps: Path) -> None:
    table = mimbench.runs.frame([sweeps / "demo", sweeps / "other"])
    assert isinstance(table, pd.DataFrame)
    assert len(table) == 2 * 2 * 2 + 2  # two sweeps of two runs with two headlines, and two of checkpoints
    for row in table[table["step"].isna()].itertuples():
        assert row.value == recorded(Path(row.run), row.protocol)
    early = table[table["step"].notna()]
    assert set(early["step"]) == {500}
    assert set(early["value"]) == {0.25}
    assert set(table["version"]) == {"0.1.0", "0.2.0"}
    assert set(table.loc[table["sweep"] == "other", "masker.ratio"]) == {0.6}
    assert table.loc[table["sweep"] == "demo", "masker.ratio"].isna().all()


def test_a_run_without_results_is_a_row_without_value(sweeps: Path) -> None:
    [run] = (sweeps / "demo").glob("mae-*")
    record = json.loads((run / "record.json").read_text())
    (run / "record.json").write_text(json.dumps(record | {"metrics": {}, "status": "failed"}))
    [row] = mimbench.runs.frame(run).itertuples()
    assert (row.state, row.method) == ("failed", "mae")
    assert pd.isna(row.value)


def test_nothing_is_a_frame_with_its_columns(tmp_path: Path) -> None:
    table = mimbench.runs.frame(tmp_path)
    assert len(table) == 0
    assert {"method", "protocol", "value"} <= set(table.columns)


def test_a_missing_directory_and_an_unreadable_record_are_named(sweeps: Path) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        mimbench.runs.frame(sweeps / "nowhere")
    [run] = (sweeps / "demo").glob("mae-*")
    (run / "record.json").write_text("{")
    with pytest.raises(ValueError, match=r"record\.json"):
        mimbench.runs.frame(sweeps)


def test_pandas_is_imported_for_frames_only() -> None:
    code = "import sys, mimbench.runs; sys.exit('pandas' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    assert main(["runs", *words, "--format", "csv"]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


@pytest.mark.parametrize(
    ("conditions", "count"),
    [
        (["method=mae"], 2),
        (["method=mae", "depth>=12"], 1),
        (["depth<12", "method!=untrained"], 1),
        (["seed=0,1"], 4),
        (["version=0.2.0"], 2),
        (["masker.ratio=0.60"], 2),
        (["optim.base_lr<=6e-3"], 4),
        (["masker.ratio>0.7"], 2),  # of the configuration where it is no axis
        (["state=finished", "sweep=demo"], 2),
    ],
    ids=str,
)
def test_conditions_select_by_axes_and_configuration(
    conditions: list[str], count: int, sweeps: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = listed(capsys, str(sweeps), "--where", *conditions)
    assert len({row["run"] for row in rows}) == count


def test_the_table_has_a_row_per_run_and_a_column_per_protocol(
    sweeps: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", str(sweeps), "--where", "method=mae"]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["sweep", "method", "encoder", "depth", "data", "seed", "version", "masker.ratio", "knn-v1", "linear-v1"]  # fmt: skip # noqa: E501
    [run] = (sweeps / "demo").glob("mae-*")
    assert f"{100 * recorded(run, 'knn-v1'):.1f}" in rows[0]


def test_parquet_holds_the_same(sweeps: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    file = tmp_path / "new" / "all.parquet"
    assert main(["runs", str(sweeps), "--format", "parquet", "--out", str(file)]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(file), mimbench.runs.frame(sweeps))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--where", "dept=4"], "Did you mean depth"),
        (["--where", "depth"], "is no condition"),
        (["--where", "depth>=deep"], "needs a number"),
        (["--where", "depth=5"], "None of the 4 runs"),
        (["--format", "parquet"], "needs --out"),
        (["--out", "x"], "goes with"),
        (["nowhere"], "There is no directory nowhere"),
    ],
    ids=str,
)
def test_errors_are_one_line(
    words: list[str], reason: str, sweeps: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sweeps)
    assert main(["runs", *(words if words == ["nowhere"] else [".", *words])]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1


def test_unreadable_runs_are_named_and_left_out(sweeps: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [run] = (sweeps / "demo").glob("mae-*")
    (run / "record.json").write_text("{")
    assert main(["runs", str(sweeps), "--format", "csv"]) == 0
    said = capsys.readouterr()
    assert "The run is left out." in said.err
    assert str(run) not in said.out


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("k=4", 4.0, True),
        ("k=4", "4", True),
        ("k=true", True, True),
        ("k=1", True, False),
        ("k=null", None, True),
        ("k!=null", 3, True),
        ("k>3", None, False),
        ("k>3", "many", False),
        ("k=a,b", "b", True),
        ("k!=a,b", "b", False),
    ],
)
def test_values_are_compared_as_what_they_are(text: str, value: object, holds: bool) -> None:
    assert parse(text).holds({"k": value}) is holds
