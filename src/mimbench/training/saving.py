"""Checkpoints on the disk: always a whole one, and never one that is not taken for it."""

import errno
import os
import sys
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

LAST, PREVIOUS, DAMAGED = "last.ckpt", "previous.ckpt", "damaged.ckpt"


class NotSavedError(OSError):
    """A checkpoint could not be written; the one before is still there."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the file, to the disk, and renames; the former file stays beside it as `previous.ckpt`.

    Whatever happens, one of the two is whole. Lightning's own goes through the system's temporary directory, from where
    a move to another disk is a copy.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        """Raises NotSavedError when the disk is full or refuses otherwise."""
        path = Path(path)
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                path.replace(path.with_name(PREVIOUS))
            part.replace(path)
            _sync_directory(path.parent)
        except (OSError, RuntimeError) as error:
            cause = _from_the_disk(error)
            if cause is None:
                raise
            raise NotSavedError(
                cause.errno,
                f"{os.strerror(cause.errno or errno.EIO)} while {path} was written; the checkpoint before it is kept",
            ) from error
        finally:
            part.unlink(missing_ok=True)


def newest_checkpoint(directory: Path) -> Path | None:
    """The newest whole checkpoint of a directory; tells of one that is damaged, and puts it aside."""
    for name in (LAST, PREVIOUS):
        path = directory / name
        if not path.is_file():
            continue
        if _is_whole(path):
            return path
        with suppress(FileNotFoundError):  # another rank was first
            path.replace(path.with_name(DAMAGED))
            print(f"{path} is damaged and put aside as {DAMAGED}; the run goes on from before it.", file=sys.stderr)
    return None


def _is_whole(path: Path) -> bool:
    """Whether the archive is complete and all checksums are right; PyTorch itself does not look at them."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError):
        return False


def _from_the_disk(error: BaseException | None) -> OSError | None:
    """PyTorch's writer hides what the disk has said behind an error of its own."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def _sync_directory(directory: Path) -> None:
    """Makes the names as durable as what they stand for."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
