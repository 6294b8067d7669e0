"""Which test images were classified correctly: a file beside each result, for bootstrap intervals over images."""

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from mimbench.core.files import write_atomic
from mimbench.runs.directory import EVALUATION

KEY = "correct"
_MAX_BYTES = 64 << 20  # more test images than any dataset has


def move_to_file(run_dir: Path, protocol: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a protocol's result without the values per image, which are written to their own file if present."""
    if KEY in result:
        write(run_dir, protocol, result[KEY])
    return {key: value for key, value in result.items() if key != KEY}


def write(run_dir: Path, protocol: str, correct: Sequence[bool] | Bool[np.ndarray, " n"]) -> None:
    """Writes `evaluation/<protocol>.npz`: one truth value per test image, in the order of the test split."""
    stream = io.BytesIO()
    np.savez_compressed(stream, correct=np.asarray(correct, dtype=bool))
    write_atomic(_path(run_dir, protocol), stream.getvalue())


def read(run_dir: Path, protocol: str) -> Bool[np.ndarray, " n"] | None:
    """One truth value per test image, in the order of the test split; None if there is no readable file."""
    try:
        with zipfile.ZipFile(_path(run_dir, protocol)) as archive:
            member = archive.getinfo(f"{KEY}.npy")
            if member.file_size > _MAX_BYTES:
                return None
            content = io.BytesIO(archive.read(member))
        if np.lib.format.read_magic(content) != (1, 0):
            return None
        shape, _, dtype = np.lib.format.read_array_header_1_0(content)
        values = np.frombuffer(content.read(), np.uint8) != 0 if dtype == np.bool_ else None
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return None
    return values if values is not None and values.shape == shape else None


def _path(run_dir: Path, protocol: str) -> Path:
    return run_dir / EVALUATION / f"{protocol}.npz"
