"""What `mimbench data pack` leaves: WebDataset shards, an index of each, and a manifest that makes them one."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

MANIFEST, SCHEMA = "pack.json", 1
PARTS = ("train", "val")


@dataclass(frozen=True)
class Shard:
    """A tar file as it was written."""

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
        replace(directory / MANIFEST, json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1).encode())

    @classmethod
    def read(cls, directory: Path) -> "Manifest":
        """Raises ValueError where there is none, or none that we know."""
        path = directory / MANIFEST
        try:
            found = json.loads(path.read_text())
            if found.pop("schema") != SCHEMA:
                raise KeyError("schema")
            shards = {part: tuple(Shard(**shard) for shard in found["shards"][part]) for part in PARTS}
            return cls(tuple(found["classes"]), shards)
        except FileNotFoundError:
            raise ValueError(f"There is no {path}; `mimbench data pack FOLDER {directory}` makes it.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} cannot be understood ({error!r}); pack the folder again.") from error


class Index:
    """Where the samples of a shard lie: `rows` are (place in the folder, label, offset, length, CRC-32) each."""

    def __init__(self, rows: Int64[np.ndarray, "n 5"]) -> None:
        self.rows = rows

    def write(self, shard: Path) -> None:
        replace(index_file(shard), self.rows.astype("<i8").tobytes())

    @classmethod
    def read(cls, shard: Path, num_samples: int) -> "Index":
        """Raises ValueError where it is missing or of another length."""
        try:
            numbers = np.frombuffer(index_file(shard).read_bytes(), "<i8")
            return cls(numbers.reshape(num_samples, 5).astype(np.int64))
        except (OSError, ValueError) as error:
            raise ValueError(f"{index_file(shard)} is missing or damaged ({error}); pack the folder again.") from error


def index_file(shard: Path) -> Path:
    return shard.with_suffix(".index")


def check_whole(path: Path, shard: Shard) -> None:
    """Raises ValueError for a shard that is missing or has another size: it was not copied to its end."""
    if not path.is_file():
        raise ValueError(f"The shard {path} is missing; copy it again, or pack the folder again.")
    if (size := path.stat().st_size) != shard.num_bytes:
        raise ValueError(
            f"The shard {path} has {size:,} bytes instead of {shard.num_bytes:,}; copy it again, or pack it again."
        )


def check_sum(path: Path, shard: Shard) -> None:
    """Reads all of a shard. Raises ValueError for other bytes than were written."""
    check_whole(path, shard)
    if (found := sha256(path)) != shard.sha256:
        raise ValueError(
            f"The shard {path} is damaged: its SHA-256 is {found[:12]}… instead of {shard.sha256[:12]}…; copy it "
            "again, or delete it and pack again."
        )


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def replace(path: Path, content: bytes) -> None:
    """Writes beside the file and renames: it is whole or absent."""
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_bytes(content)
    temporary.replace(path)
