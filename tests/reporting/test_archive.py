"""An archive holds what a report needs; a stranger's archive is data."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimbench.cli import main
from mimbench.reporting import archive
from mimbench.reporting.collect import collect

MakeRun = Callable[..., Path]
LOSSES = "step,metric,value\n" + "".join(f"{step},train/loss,{1 / (step + 1)}\n" for step in range(1000))


@pytest.fixture
def sweep(make_run: MakeRun) -> Path:
    answers = np.arange(1000) % 3 > 0
    make_run("untrained", knn=0.25)
    for seed, knn in enumerate((0.5, 0.6)):
        correct = {"knn-v1": (np.arange(1000) < 1000 * knn).tolist(), "linear-v1": answers.tolist()}
        config = {"data": {"source": {"root": "/home/ada/images"}}, "optim": {"batch_size": 64}}
        run = make_run("mae", seed, knn=knn, linear=0.666, losses=LOSSES, correct=correct, config=config)
    return run.parent


def test_the_report_of_an_archive_equals_that_of_the_directory(sweep: Path, tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    assert main(["report", str(sweep), "--archive", str(file), "--out", str(tmp_path / "first")]) == 0
    assert main(["report", str(file)]) == 0
    first, second = tmp_path / "first", tmp_path / "results" / "report"
    names = {path.relative_to(first) for path in first.rglob("*") if path.is_file()}
    assert {path.relative_to(second) for path in second.rglob("*") if path.is_file()} == names
    assert Path("figures/loss.svg") in names
    for name in names:
        assert (second / name).read_bytes() == (first / name).read_bytes(), name


def test_a_run_of_an_archive_has_no_log_to_link(sweep: Path, make_run: MakeRun, tmp_path: Path) -> None:
    failed = make_run("mirl", status="failed")
    (failed / "log.txt").write_text("an error")
    file = tmp_path / "results.jsonl"
    assert main(["report", str(sweep), "--archive", str(file), "--out", str(tmp_path / "first")]) == 0
    assert f"{failed.name}/log.txt" in (tmp_path / "first" / "report.md").read_text()
    assert main(["report", str(file)]) == 0
    page = (tmp_path / "results" / "report" / "report.md").read_text()
    assert failed.name in page
    assert "mimbench-" not in page.replace("mimbench-v", "")
    assert "log.txt" not in page


def test_an_archive_has_no_folders_and_hosts(sweep: Path, tmp_path: Path) -> None:
    archive.write(collect(sweep), tmp_path / "results.jsonl")
    text = (tmp_path / "results.jsonl").read_text()
    assert "/home/ada" not in text
    assert "images" in text
    assert str(tmp_path) not in text


def test_bits_are_those_of_numpy(sweep: Path, tmp_path: Path) -> None:
    archive.write(collect(sweep), tmp_path / "results.jsonl")
    runs = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()[1:]]
    number, text = next(run for run in runs if run["name"].startswith("mae"))["correct"]["linear-v1"]
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=number)
    np.testing.assert_array_equal(bits, np.arange(1000) % 3 > 0)


HEAD = {"archive": "mimbench results", "schema": 1, "sweep": "s"}
RUN = {"name": "a", "record": {}, "config": {}, "metrics": "", "correct": {}}
HOSTILE = {
    "empty": b"",
    "no archive": b"step,metric,value\n",
    "another schema": json.dumps(HEAD | {"schema": 2}).encode(),
    "a sweep that leads out": json.dumps(HEAD | {"sweep": "../s"}).encode(),
    "a list": b"[]\n",
    "nested deeply": b'{"archive":' + b"[" * 100_000,
    **{
        name: json.dumps(HEAD).encode() + b"\n" + b"\n".join(json.dumps(run).encode() for run in runs)
        for name, runs in {
            "a name that leads out": [RUN | {"name": "../../a"}],
            "an absolute name": [RUN | {"name": "/tmp/a"}],
            "a hidden name": [RUN | {"name": ".lock"}],
            "a name of another type": [RUN | {"name": ["a"]}],
            "a protocol that leads out": [RUN | {"correct": {"../../x": [0, ""]}}],
            "two runs of one name": [RUN, RUN],
            "an unknown key": [RUN | {"files": {}}],
            "a key that is missing": [{"name": "a"}],
            "more images than bits": [RUN | {"correct": {"knn-v1": [10**9, ""]}}],
            "bits that are none": [RUN | {"correct": {"knn-v1": [8, "%%"]}}],
            "a record that is none": [RUN | {"record": [1]}],
        }.items()
    },
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_is_no_archive_is_refused_in_one_line(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results.jsonl").write_bytes(content)
    assert main(["report", str(tmp_path / "results.jsonl")]) == 2
    error = capsys.readouterr().err
    assert "results.jsonl does not contain results" in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.jsonl"]


def test_runs_with_records_that_cannot_be_read_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs: list[dict[str, Any]] = [HEAD, RUN | {"record": {"schema": 1}}]
    (tmp_path / "results.jsonl").write_text("\n".join(map(json.dumps, runs)))
    assert main(["report", str(tmp_path / "results.jsonl"), "--out", str(tmp_path / "out")]) == 0
    assert "it lacks" in capsys.readouterr().out
