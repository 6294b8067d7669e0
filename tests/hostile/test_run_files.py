"""One bad file in a run or a sweep never stops a command, is named in one line, and has no effect."""

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimbench.cli import main

DEEP = "[" * 100_000 + "]" * 100_000
ESCAPE = "\x1b]0;owned\x07\x1b[31m"


def altered(**values: Any) -> Callable[[bytes], bytes]:
    """A JSON object with other values under some keys; dotted keys go deeper."""

    def alter(content: bytes) -> bytes:
        whole = json.loads(content)
        for key, value in values.items():
            *parents, last = key.split("__")
            place = whole
            for parent in parents:
                place = place[parent]
            place[last] = value
        return json.dumps(whole).encode()

    return alter


def fixed(content: bytes | str) -> Callable[[bytes], bytes]:
    return lambda _: content.encode() if isinstance(content, str) else content


JSON_FILES = {
    "empty": fixed(""),
    "not UTF-8": fixed(b"\xff\xfe{}"),
    "a list": fixed("[]"),
    "a number": fixed("1"),
    "null": fixed("null"),
    "too deep": fixed(DEEP),
    "cut": lambda content: content[: len(content) // 2],
    "a huge number": fixed('{"schema": 1e999, "runs": 1' + "0" * 4000 + "}"),
    "zeros": fixed(bytes(1000)),
}
RECORDS = JSON_FILES | {
    "another schema": altered(schema=2),
    "unknown state": altered(status="done"),
    "state of another type": altered(status=["finished"]),
    "axes of another type": altered(axes=[]),
    "depth is text": altered(axes__depth="4"),
    "axis is an object": altered(axes__seed={"a": 1}),
    "axes lack data": altered(axes={"method": "mae"}),
    "metrics of another type": altered(metrics=[1]),
    "overrides are numbers": altered(overrides=[1]),
    "costs are text": altered(cost={"training_flops": "many"}),
    "costs are lists": altered(cost={"training_flops": [1]}),
    "error without a message": altered(error={"type": "x"}),
    "error of another type": altered(error={"type": 1, "message": []}),
    "unknown field": altered(more=1),
    "integer of 100 digits": altered(cost={"training_flops": 10**100}),
    "name with an escape sequence": altered(name=ESCAPE),
    "name with half a surrogate": altered(name="\ud800"),
    "name with rich markup": altered(name="x[/b]", sweep="[red]", axes__data="[/]"),
    "results of other types": altered(metrics={"knn-v1": {"accuracy": "high", "depths": 3}, "x": None, "y": [[]]}),
    "results out of range": altered(metrics={"knn-v1": {"accuracy": 1e308, "num_test": -5}}),
    "curves of other lengths": altered(
        metrics={"layerwise-v1": {"depths": [0, "a", None], "knn": ["x"], "linear": 3, "num_test": "n"}}
    ),
    "nested results": altered(metrics={"by_step": {"knn-v1": {"x": {"accuracy": 1}}}}),
}
PLANS = JSON_FILES | {
    "runs of another type": altered(runs={}),
    "a run is text": altered(runs=["x"]),
    "a run without a name": altered(runs=[{"identity": "a", "axes": {}}]),
    "a name that leads out": altered(runs=[{"identity": "a", "name": "../../x", "axes": {}}]),
    "an absolute name": altered(runs=[{"identity": "a", "name": "/etc", "axes": {}}]),
    "axes of another type": altered(runs=[{"identity": "a", "name": "a", "axes": [1]}]),
    "overrides of another type": altered(runs=[{"identity": "a", "name": "a", "axes": {}, "overrides": "rm"}]),
    "name with an escape sequence": altered(name=ESCAPE, runs=[{"identity": "a", "name": ESCAPE, "axes": {}}]),
}
CONFIGS = {
    "empty": fixed(""),
    "not UTF-8": fixed(b"\xff\xfe"),
    "a list": fixed("- 1\n"),
    "Python objects": fixed("a: !!python/object/apply:os.system ['touch marker']\n"),
    "a bomb of aliases": fixed(
        "a: &a [1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9))
    ),
    "an alias of itself": fixed("a: &a [*a]\n"),
    "too deep": fixed("a: " + "[" * 5000 + "]" * 5000),
    "large": fixed("a: " + "x" * (2 << 20)),
    "a tab": fixed("a:\n\t- b\n"),
    "an escape sequence": fixed(b'encoder: {}\ndata: {name: "\\e[31m"}\n'),
}


def png(width: int, height: int) -> bytes:
    """A PNG whose header promises a size, with little data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(100))), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def npz(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("correct.npy", content)
    return stream.getvalue()


def npy(shape: str, kind: str = "|b1", data: bytes = b"") -> bytes:
    header = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


PICKLE = b"cos\nsystem\n(S'touch marker'\ntR."
OTHERS: dict[str, tuple[str, bytes]] = {
    "progress that is no object": ("progress.json", b"[]"),
    "progress of text": ("progress.json", b'{"step": "1", "total": [], "images_per_second": {}}'),
    "progress beyond floats": ("progress.json", b'{"step": 1e308, "total": 1e308, "steps_per_epoch": 1e308}'),
    "a job with options of squeue": ("slurm.json", b'{"job": "1 --help", "submitted": "", "output": "", "tasks": 1}'),
    "a job whose output lies elsewhere": (
        "slurm.json",
        b'{"job": "1", "submitted": "", "output": "/etc/passwd", "tasks": 1}',
    ),
    "a job that is no object": ("slurm.json", b"[1]"),
    "metrics in binary": ("metrics.csv", bytes(range(256)) * 10),
    "metrics with other columns": ("metrics.csv", b"a,b\n1,2\n"),
    "metrics of text": ("metrics.csv", b"step,metric,value\nx,train/loss,y\n1e999,train/loss,-1e999\n"),
    "a reconstruction of a billion pixels": ("figures/reconstructions.png", png(50_000, 50_000)),
    "a reconstruction that is none": ("figures/reconstructions.png", b"GIF89a" + bytes(20)),
    "a legend of negative sizes": ("figures/reconstructions.json", b'{"side": -5, "gap": -9, "rows": ["image"]}'),
    "answers that are pickled": ("evaluation/knn-v1.npz", npz(npy("(3,)", "|O", PICKLE))),
    "answers larger than memory": ("evaluation/knn-v1.npz", npz(npy("(10000000000000,)"))),
    "answers of a decompression bomb": ("evaluation/knn-v1.npz", npz(bytes(100 << 20))),
    "answers that are no archive": ("evaluation/knn-v1.npz", b"PK\x03\x04" + bytes(50)),
    "a holder of text": (".holder.json", b'{"host": 1, "pid": "x", "since": []}'),
    "a log of escape sequences": ("log.txt", (ESCAPE + "\n").encode() * 100),
}


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status and output of a command that neither raises nor prints control characters."""
    code = main(list(words))
    out, err = capsys.readouterr()
    assert code in (0, 1, 2), err
    assert "Traceback" not in err
    assert "\x1b]" not in out + err
    assert "\x1b[31m" not in out + err
    assert not Path("marker").exists()
    return code, out, err


def check_sweep(sweep: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What `status` and `report` print about a sweep; both must go on."""
    _, shown, said = answer(capsys, "status", str(sweep))
    _, report, warned = answer(capsys, "report", str(sweep), "--no-figures")
    answer(capsys, "retry", str(sweep), "--dry-run")
    return shown + said, report + warned


@pytest.mark.parametrize("fault", RECORDS)
def test_a_bad_record_does_not_stop_the_other_runs(
    sweep: Path, victim: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record = victim / "record.json"
    record.write_bytes(RECORDS[fault](record.read_bytes()))
    shown, report = check_sweep(sweep, capsys)
    assert "finished" in shown
    assert str(sweep / "report") in report


@pytest.mark.parametrize("fault", PLANS)
def test_a_bad_plan_is_named_and_the_records_still_count(
    sweep: Path, victim: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = sweep / "sweep.json"
    plan.write_bytes(PLANS[fault](plan.read_bytes() if plan.is_file() else b'{"name": "demo", "axes": {}, "runs": []}'))
    shown, report = check_sweep(sweep, capsys)
    if "escape" not in fault:
        assert str(plan) in shown.replace("\n", "")
        assert str(plan) in report.replace("\n", "").replace("  ", "")
    assert str(sweep / "report") in report


@pytest.mark.parametrize("fault", CONFIGS)
def test_a_bad_configuration_is_refused_in_one_line(
    sweep: Path, victim: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (victim / "config.yaml").write_bytes(CONFIGS[fault](b""))
    check_sweep(sweep, capsys)
    code, _, said = answer(capsys, "evaluate", str(victim), "protocol=knn")
    assert code == 2
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize("fault", OTHERS)
def test_other_bad_files_of_a_run_change_nothing(
    sweep: Path, victim: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, content = OTHERS[fault]
    (victim / name).parent.mkdir(exist_ok=True)
    (victim / name).write_bytes(content)
    shown, _ = check_sweep(sweep, capsys)
    assert "root:" not in shown


@pytest.mark.parametrize(
    "name", ["record.json", "config.yaml", "metrics.csv", "progress.json", "slurm.json", "log.txt"]
)
@pytest.mark.parametrize("kind", ["directory", "pipe", "loop", "nothing"])
def test_what_is_no_file_is_not_waited_for(
    sweep: Path, victim: Path, name: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = victim / name
    path.unlink(missing_ok=True)
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)  # reading it would wait for ever
    elif kind == "loop":
        path.symlink_to(path.name)
    check_sweep(sweep, capsys)


def test_arrays_of_the_tests_are_what_numpy_reads() -> None:
    """So that the refused files differ from good ones in their fault alone."""
    stream = io.BytesIO(npy("(3,)", data=b"\x01\x00\x01"))
    assert np.load(stream).tolist() == [True, False, True]
