"""The output of `mimbench data pack`: WebDataset shards, an index of each, and a manifest of all."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from mimbench.core.files import write_atomic
from mimbench.core.json_files import check_items, check_type, read_json

MANIFEST, SCHEMA = "pack.json", 1
PARTS = ("train", "val")
_FILE = re.compile(r"(train|val)-\d{6,}\.tar")
_ROW_BYTES = 5 * 8


@dataclass(frozen=True)
class Shard:
    """Name, size and checksum of a tar file."""

    file: str
    num_samples: int
    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A packed dataset in ImageNet's layout: shards of train/ and val/, in order."""

    classes: tuple[str, ...]
    shards: dict[str, tuple[Shard, ...]]

    def write(self, directory: Path) -> None:
        write_atomic(directory / MANIFEST, json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1))

    @classmethod
    def read(cls, directory: Path) -> "Manifest":
        """Reads the manifest; raises ValueError if it is missing or invalid."""
        path = directory / MANIFEST
        try:
            found = read_json(path)
            if found.get("schema") != SCHEMA:
                raise ValueError(f"schema is {found.get('schema')!r}; expected {SCHEMA}.")
            check_type("classes", found.get("classes"), list)
            check_items("classes", found["classes"], str)
            check_type("shards", found.get("shards"), dict)
            shards = {part: tuple(map(_shard, found["shards"].get(part, []))) for part in PARTS}
            return cls(tuple(found["classes"]), shards)
        except FileNotFoundError:
            raise ValueError(f"There is no {path}; `mimbench data pack FOLDER {directory}` makes it.") from None
        except (OSError, ValueError, TypeError) as error:
            raise ValueError(f"{path} cannot be understood: {error} Pack the folder again.") from error


class Index:
    """Positions of the samples of a shard; a row is (position in the folder, label, offset, length, CRC-32)."""

    def __init__(self, rows: Int64[np.ndarray, "n 5"]) -> None:
        self.rows = rows

    def write(self, shard: Path) -> None:
        write_atomic(index_file(shard), self.rows.astype("<i8").tobytes())

    @classmethod
    def read(cls, shard: Path, num_samples: int, num_bytes: int | None = None) -> "Index":
        """The index of a shard.

        Args:
            num_bytes: Size of the shard, for a check of the positions; None for no check.

        Raises:
            ValueError: It is missing, of another length, or has positions outside of the shard.
        """
        path = index_file(shard)
        try:
            if (size := path.stat().st_size) != num_samples * _ROW_BYTES:
                raise ValueError(f"it has {size} bytes instead of {num_samples * _ROW_BYTES}")
            rows = np.frombuffer(path.read_bytes(), "<i8").reshape(num_samples, 5).astype(np.int64)
            if num_bytes is not None and not _lie_within(rows, num_bytes):
                raise ValueError("it leads out of the shard")
            return cls(rows)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} is missing or damaged ({error}); pack the folder again.") from error


def _shard(values: Any) -> Shard:
    check_type("a shard", values, dict)
    for key, kind in (("file", str), ("num_samples", int), ("num_bytes", int), ("sha256", str)):
        check_type(key, values.get(key), kind)
    if not _FILE.fullmatch(values["file"]):
        raise ValueError(f"{values['file']!r} is no name of a shard; expected such as train-000000.tar.")
    if not 0 <= values["num_samples"] <= values["num_bytes"]:
        raise ValueError(f"{values['file']} cannot have {values['num_samples']} samples.")
    return Shard(values["file"], values["num_samples"], values["num_bytes"], values["sha256"])


def _lie_within(rows: Int64[np.ndarray, "n 5"], num_bytes: int) -> bool:
    """Whether no number is negative and all samples end within the shard."""
    offsets, lengths = rows[:, 2], rows[:, 3]
    return bool((rows >= 0).all() and (lengths <= num_bytes).all() and (offsets <= num_bytes - lengths).all())


def index_file(shard: Path) -> Path:
    return shard.with_suffix(".index")


def check_whole(path: Path, shard: Shard) -> None:
    """Raises ValueError if a shard is missing or has another size, as after an incomplete copy."""
    if not path.is_file():
        raise ValueError(f"The shard {path} is missing; copy it again, or pack the folder again.")
    if (size := path.stat().st_size) != shard.num_bytes:
        raise ValueError(
            f"The shard {path} has {size:,} bytes instead of {shard.num_bytes:,}; copy it again, or pack it again."
        )


def check_sum(path: Path, shard: Shard) -> None:
    """Reads a whole shard and raises ValueError if its checksum differs."""
    check_whole(path, shard)
    if (found := sha256(path)) != shard.sha256:
        raise ValueError(
            f"The shard {path} is damaged: its SHA-256 is {found[:12]}… instead of {shard.sha256[:12]}…; copy it "
            "again, or delete it and pack again."
        )


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
