"""Records are read as written, validated, and replaced atomically."""

import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mimbench.runs import records
from mimbench.runs.records import Record

AXES = {"method": "mae", "encoder": "vit_demo", "depth": 4, "data": "photos", "seed": 0}


def a_record(**values: Any) -> Record:
    base = {
        "identity": "0123456789ab",
        "name": "run",
        "status": "finished",
        "axes": AXES,
        "started": "2025-01-01T10:00",
    }
    return Record(**(base | values))


def test_a_record_is_read_as_written(tmp_path: Path):
    record = a_record(
        error={"type": "ValueError", "message": "größer | kleiner"},
        metrics={"knn-v1": {"accuracy": 0.37, "num_test": 1000}, "val/loss": 0.5},
        depths=[2, 4],
        finished="2025-01-01T11:00",
    )
    records.write(record, tmp_path)
    assert records.read(tmp_path / "record.json") == record


def test_numbers_that_json_lacks_become_null(tmp_path: Path):
    records.write(a_record(metrics={"train/loss": math.nan, "terms": [math.inf, 1.0]}), tmp_path)
    text = (tmp_path / "record.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert records.read(tmp_path / "record.json").metrics == {"train/loss": None, "terms": [None, 1.0]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema is 2"),
        ({"status": "done"}, "status is 'done'"),
        ({"identity": 7}, "identity is 7; expected str"),
        ({"axes": {"method": "mae"}}, "axes lack 'encoder'"),
        ({"axes": AXES | {"depth": "4"}}, "axes.depth is '4'; expected int"),
        ({"axes": AXES | {"seed": True}}, "axes.seed is True"),
        ({"extra": 1}, "unknown fields extra"),
        ({"error": {"message": "no type"}}, "error needs 'type'"),
        ({"metrics": []}, "metrics is \\[\\]"),
    ],
)
def test_an_invalid_record_is_rejected_with_its_file_and_the_reason(
    tmp_path: Path, change: dict[str, Any], message: str
):
    path = tmp_path / "record.json"
    path.write_text(json.dumps(dataclasses.asdict(a_record()) | change))
    with pytest.raises(ValueError, match=message) as caught:
        records.read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", '{"schema": 1}', "[]", "3"])
def test_other_json_is_rejected_with_its_file(tmp_path: Path, text: str):
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"record\.json"):
        records.read(path)


def test_an_interrupted_write_keeps_the_old_record_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    records.write(a_record(status="running"), tmp_path)

    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        records.write(a_record(status="finished"), tmp_path)
    assert records.read(tmp_path / "record.json").status == "running"
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_records_need_the_standard_library_only():
    heavy = "{'pandas', 'numpy', 'scipy', 'matplotlib', 'torch', 'rich'}"
    code = f"import sys; from mimbench.runs import records; sys.exit(len({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
