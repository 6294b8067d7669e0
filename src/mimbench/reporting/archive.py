"""The results of a sweep in one file: what a report reads, without weights, images, host names and folders.

Lines of JSON. The first is `{"archive": "mimbench results", "schema": 1, "sweep": NAME}`; each of the others is a run:

    name      of its directory
    record    as in record.json
    config    as in config.yaml, nested
    metrics   losses and throughput by step, at most 150 points each, as in metrics.csv
    correct   by protocol, which test images were right: their number and their bits in base64, the first bit highest
"""

import base64
import binascii
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import yaml
from jaxtyping import Bool

from mimbench.core.files import is_file_name, write_atomic
from mimbench.core.json_files import check_type, check_values
from mimbench.reporting import curves
from mimbench.reporting.collect import Sweep, collect
from mimbench.reporting.redaction import redact_sweep, redact_tree
from mimbench.reporting.runs import Run
from mimbench.runs import correctness, records
from mimbench.runs.directory import CONFIG, METRICS, config

KIND, SCHEMA = "mimbench results", 1
_MAX_BYTES = 64 << 20
_MAX_IMAGES = 10_000_000  # more test images than any dataset has
_FIELDS = {"name": str, "record": dict, "config": dict, "metrics": str, "correct": dict}


def write(sweep: Sweep, path: Path) -> int:
    """Writes the runs that have a record to a file and returns their number.

    Raises:
        OSError: The file cannot be written.
    """
    lines: list[dict[str, Any]] = [{"archive": KIND, "schema": SCHEMA, "sweep": sweep.name}]
    lines += [_values(run) for run in redact_sweep(sweep).runs if run.record is not None]
    write_atomic(path, "".join(json.dumps(line, separators=(",", ":"), allow_nan=False) + "\n" for line in lines))
    return len(lines) - 1


@contextmanager
def opened(path: Path) -> Iterator[Sweep]:
    """The runs of a directory, or of an archive, whose contents are in a temporary directory.

    Raises:
        ValueError: The file is not an archive, or the directory holds no runs; the message names it.
    """
    if not path.is_file():
        yield collect(path)
        return
    with TemporaryDirectory(prefix="mimbench-") as folder:
        try:
            directory = _unpack(path, Path(folder))
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{path} does not contain results: {error} Give the directory of a sweep, or a file that "
                "`mimbench report --archive` wrote."
            ) from error
        yield replace(collect(directory), archived=True)


def _values(run: Run) -> dict[str, Any]:
    assert run.record is not None
    assert run.directory is not None
    try:
        nested = redact_tree(config(run.directory))
    except ValueError:
        nested = {}
    answers = {name: correctness.read(run.directory, name) for name in run.record.metrics if is_file_name(name)}
    rows = [
        f"{step:g},{curve.metric},{value!r}"
        for curve in curves.losses([run], [])
        for step, value in zip(curve.steps.tolist(), curve.values.tolist(), strict=True)
    ]
    return {
        "name": run.directory.name,
        "record": records.as_json(run.record),
        "config": nested,
        "metrics": "\n".join(["step,metric,value", *rows]) + "\n",
        "correct": {
            name: [len(bits), base64.b64encode(np.packbits(bits).tobytes()).decode()]
            for name, bits in answers.items()
            if bits is not None
        },
    }


def _unpack(path: Path, folder: Path) -> Path:
    if (size := path.stat().st_size) > _MAX_BYTES:
        raise ValueError(f"it has {size} bytes; expected at most {_MAX_BYTES}.")
    lines = [_line(number, text) for number, text in enumerate(path.read_bytes().splitlines(), 1)]
    head = lines[0] if lines else {}
    if head.get("archive") != KIND or head.get("schema") != SCHEMA:
        raise ValueError(f"its first line does not say archive {KIND!r}, schema {SCHEMA}.")
    directory = folder / _file_name("sweep", head.get("sweep"))
    directory.mkdir()
    for number, values in enumerate(lines[1:], 2):
        try:
            _unpack_run(values, directory)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    return directory


def _line(number: int, text: bytes) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {number} is not valid JSON ({error}).") from error
    check_type(f"line {number}", values, dict)
    check_values(values)
    return values


def _unpack_run(values: dict[str, Any], directory: Path) -> None:
    if wrong := sorted(values.keys() ^ _FIELDS.keys()):
        raise ValueError(f"its keys differ from {', '.join(_FIELDS)} in {', '.join(wrong)}.")
    for key, kind in _FIELDS.items():
        check_type(key, values[key], kind)
    run = directory / _file_name("name", values["name"])
    if run.exists():
        raise ValueError(f"there are two runs named {run.name}.")
    write_atomic(run / CONFIG, yaml.safe_dump(values["config"], sort_keys=False), durable=False)
    write_atomic(run / METRICS, values["metrics"], durable=False)
    for protocol, answers in values["correct"].items():
        correctness.write(run, _file_name("correct", protocol), _bits(answers))
    write_atomic(run / records.RECORD, json.dumps(values["record"]), durable=False)


def _bits(answers: Any) -> Bool[np.ndarray, " n"]:
    pair = cast(list[Any], answers) if isinstance(answers, list) else []
    if len(pair) != 2 or type(pair[0]) is not int or not isinstance(pair[1], str):
        raise ValueError("correct is not a number of images and base64.")
    number, text = pair
    try:
        packed = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    except binascii.Error as error:
        raise ValueError(f"correct is not base64 ({error}).") from error
    if not 0 <= number <= _MAX_IMAGES or len(packed) != -(-number // 8):
        raise ValueError(f"correct has {len(packed)} bytes for {number} images.")
    return np.unpackbits(packed, count=number).astype(bool)


def _file_name(key: str, value: Any) -> str:
    if not isinstance(value, str) or not is_file_name(value) or value.startswith("."):
        raise ValueError(f"{key} is {value!r}; expected the name of a folder.")
    return value
