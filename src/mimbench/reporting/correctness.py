"""Which test images a run got right: what a bootstrap over test images needs, kept beside a protocol's result."""

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from mimbench.reporting.files import write_whole

KEY = "correct"


def kept(run_dir: Path, protocol: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """A protocol's result without its answers by image; where it has them, these go to their own file first."""
    if KEY in result:
        write(run_dir, protocol, result[KEY])
    return {key: value for key, value in result.items() if key != KEY}


def write(run_dir: Path, protocol: str, correct: Sequence[bool]) -> None:
    """Writes `evaluation/<protocol>.npz`: one truth value per test image, in the order of the test split."""
    stream = io.BytesIO()
    np.savez_compressed(stream, correct=np.asarray(correct, dtype=bool))
    write_whole(_path(run_dir, protocol), stream.getvalue())


def read(run_dir: Path, protocol: str) -> Bool[np.ndarray, " n"] | None:
    """None where there is no such file, or none that can be read: an interval over images is then not possible."""
    try:
        with np.load(io.BytesIO(_path(run_dir, protocol).read_bytes())) as arrays:
            return arrays[KEY].astype(bool)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        return None


def _path(run_dir: Path, protocol: str) -> Path:
    return run_dir / "evaluation" / f"{protocol}.npz"
