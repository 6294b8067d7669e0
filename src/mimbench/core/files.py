"""Atomic file writes: readers, interruptions and full disks never see or leave a partial file."""

import os
import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_atomic(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Writes or replaces a file, text as UTF-8, and creates its folder. See `replacing` for `durable`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, durable=durable) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path, *, durable: bool = True, former: Path | None = None) -> Generator[BinaryIO, None, None]:
    """A new file that takes the name `path` when the context ends, and is removed if it ends with an error.

    The temporary file is created exclusively under a random name in the same folder, so that concurrent writers do not
    collide and a symbolic link is never followed; `stream.name` is its path. The umask decides its permissions.

    Args:
        durable: Forces content and name to the disk before returning.
        former: Path to which an existing file at `path` is moved; without it, that file is discarded.

    Raises:
        OSError: The folder is missing or cannot be written, or the disk is full; `path` is unchanged. It names a file.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("x+b") as stream:
            yield stream
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        if former is not None and path.exists():
            path.replace(former)
        temporary.replace(path)
        if durable:
            _sync_directory(path.parent)
    except OSError as error:
        error.filename = error.filename or str(path)  # a write to a full disk names no file
        raise
    finally:
        temporary.unlink(missing_ok=True)


def walk(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Every folder at or below `root` once, top down, with the names of its folders, sorted, and of its files.

    Links are followed, hidden folders are left out. A caller that removes names of folders leaves these out too.
    """
    seen: set[str] = set()
    for folder, below, names in os.walk(root, followlinks=True):
        if (path := os.path.realpath(folder)) in seen:  # a link to a parent, or to a folder already visited
            below.clear()
            continue
        seen.add(path)
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield Path(folder), below, names


def is_file_name(name: str) -> bool:
    """Whether a name stands for an entry of a folder, and cannot lead out of it."""
    return name not in ("", ".", "..") and not any(character in name for character in "/\\\0") and len(name) < 256


def remove_partial(path: Path) -> None:
    """Removes temporary files that killed writers of this file left behind; no other process may be writing it."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        leftover.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
