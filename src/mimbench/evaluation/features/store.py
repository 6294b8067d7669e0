"""A directory of arrays shared by many jobs, with a size limit."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from mimbench.core.errors import UserError
from mimbench.core.files import replacing, write_atomic

Shapes = Mapping[str, tuple[tuple[int, ...], torch.dtype]]

_GIB = 2**30
_MARKER = ".mimbench-features"  # contains the key; folders without it are never deleted
_KINDS = {torch.int64: np.int64, torch.float32: np.float32}


class Store:
    """Entries of named arrays: one folder per entry, one .npy file per array, which is complete or absent.

    One job at a time uses an entry. If space is needed, the least recently used entries are deleted.

    Args:
        directory: Directory shared by all jobs, on one file system.
        max_bytes: Limit of the size of all entries together.
    """

    def __init__(self, directory: Path, max_bytes: int):
        self.directory, self.max_bytes = directory, max_bytes

    @contextmanager
    def entry(self, key: str) -> Iterator[Path]:
        """Yields the folder of an entry, locked and marked as recently used."""
        folder = self.directory / key
        self.directory.mkdir(parents=True, exist_ok=True)
        with FileLock(self._lock(key)):
            folder.mkdir(exist_ok=True)
            for leftover in folder.glob(".*.tmp"):  # of a killed job: the lock excludes running ones
                leftover.unlink()
            _mark(folder)
            os.utime(folder)
            yield folder

    @contextmanager
    def writing(self, folder: Path, shapes: Shapes) -> Iterator[dict[str, Tensor]]:
        """Yields new arrays of an entry to fill; they are stored when the context ends without an error.

        Raises:
            UserError: They exceed the limit or the free disk space.
        """
        with ExitStack() as files:
            with FileLock(self._lock("all")):  # otherwise two jobs could claim the same free space
                self._make_room(sum(map(_num_bytes, shapes.values())), keep=folder.name)
                parts = {name: files.enter_context(replacing(folder / f"{name}.npy")) for name in shapes}
                arrays = {name: _allocate(Path(parts[name].name), *array) for name, array in shapes.items()}
            yield {name: torch.from_numpy(array) for name, array in arrays.items()}
            for array in arrays.values():
                array.flush()

    @staticmethod
    def read(folder: Path, names: set[str]) -> dict[str, Tensor]:
        """Memory-mapped arrays that exist; changes of their values are not written to the files."""
        paths = {name: folder / f"{name}.npy" for name in sorted(names)}
        return {name: torch.from_numpy(np.load(path, mmap_mode="c")) for name, path in paths.items() if path.exists()}

    def _make_room(self, needed: int, keep: str) -> None:
        entries = sorted(filter(_is_entry, self.directory.iterdir()), key=lambda p: p.stat().st_mtime)
        sizes = {entry: sum(file.stat().st_size for file in entry.iterdir()) for entry in entries}
        missing = max(sum(sizes.values()) + needed - self.max_bytes, needed - shutil.disk_usage(self.directory).free)
        for entry in entries:
            if missing > 0 and entry.name != keep and self._remove(entry):
                missing -= sizes[entry]
        if missing > 0:
            raise UserError(
                f"These features need {needed / 1e6:,.1f} MB, {missing / 1e6:,.1f} MB more than available in "
                f"{self.directory} (limit {self.max_bytes / _GIB:.3g} GiB). Raise paths.cache_gib, use a larger disk "
                "with paths.cache, or leave out protocols that read every depth."
            )

    def _remove(self, entry: Path) -> bool:
        """Deletes an entry and returns True unless a job uses it.

        Jobs that have mapped its files can still read them.
        """
        try:
            with FileLock(self._lock(entry.name), timeout=0):
                (entry / _MARKER).unlink()  # first: an entry without a marker is neither read nor deleted
                for path in _arrays(entry):
                    path.unlink()
                entry.rmdir()
                return True
        except (Timeout, OSError):
            return False

    def _lock(self, key: str) -> Path:
        return self.directory / f".{key}.lock"


def _mark(folder: Path) -> None:
    """Writes the marker of an entry.

    Raises:
        UserError: The folder contains other files than arrays.
    """
    if (folder / _MARKER).is_file():
        return
    if others := [path.name for path in folder.iterdir() if path.suffix != ".npy"]:
        raise UserError(
            f"{folder} contains {others[0]}, which is not from a feature cache; choose another paths.cache."
        )
    write_atomic(folder / _MARKER, folder.name)


def _is_entry(folder: Path) -> bool:
    """Whether a feature cache made this folder: it contains only arrays and a marker with its own name."""
    try:
        marker = folder / _MARKER
        if folder.is_symlink() or marker.stat().st_size != len(folder.name) or marker.read_text() != folder.name:
            return False
        return all(path.suffix == ".npy" or path.name == _MARKER for path in folder.iterdir())
    except OSError:
        return False


def _arrays(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix == ".npy" and path.is_file()]


def _allocate(path: Path, shape: tuple[int, ...], dtype: torch.dtype) -> np.memmap:
    array = np.lib.format.open_memmap(path, mode="w+", dtype=_KINDS[dtype], shape=shape)
    with path.open("r+b") as file:
        # On a full disk, writing to a sparse file would end the process with SIGBUS.
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _num_bytes(array: tuple[tuple[int, ...], torch.dtype]) -> int:
    shape, dtype = array
    return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
