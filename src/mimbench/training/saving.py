"""Atomic checkpoint writes."""

import errno
import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from mimbench.core.files import remove_partial, replacing
from mimbench.runs.directory import PREVIOUS


class NotSavedError(OSError):
    """A checkpoint could not be written; the previous one is kept."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Replaces the checkpoint atomically and keeps the previous one beside it as `previous.ckpt`.

    At every moment one of the two is complete. Lightning's class instead writes to the system's temporary directory;
    moving the file from there to another disk is a copy, which can be interrupted.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        """Writes a checkpoint.

        Raises:
            NotSavedError: The disk is full, or writing failed for another reason.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_partial(path)
            with replacing(path, former=path.with_name(PREVIOUS)) as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:
            cause = _os_error(error)
            if cause is None:
                raise
            raise NotSavedError(
                cause.errno,
                f"{os.strerror(cause.errno or errno.EIO)} while writing {path}; the previous checkpoint is kept",
            ) from error


def _os_error(error: BaseException | None) -> OSError | None:
    """The operating system's error, which PyTorch's writer wraps in its own; None if there is none."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error
