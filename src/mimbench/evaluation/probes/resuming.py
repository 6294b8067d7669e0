"""Saved state of a probe whose training is long enough to be resumed."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from mimbench.core.files import remove_partial, replacing
from mimbench.evaluation.features.fingerprint import of_module


class Resume:
    """Saves the newest state of a probe atomically in one file, which only the same probe of the same encoder reads.

    Args:
        what: Everything else that determines the result, such as the label and parameters of the protocol.
    """

    def __init__(self, directory: Path, encoder: nn.Module, what: str):
        self.path, self.key = directory / "state.pt", f"{what} {of_module(encoder)}"

    def load(self) -> dict[str, Any] | None:
        """The newest state of this probe, or None."""
        if not self.path.exists():
            return None
        saved = torch.load(self.path, map_location="cpu", weights_only=True, mmap=True)
        return saved["state"] if saved["key"] == self.key else None

    def save(self, state: dict[str, Any]) -> None:
        remove_partial(self.path)
        with replacing(self.path) as file:
            torch.save({"key": self.key, "state": state}, file)

    def forget(self) -> None:
        """Deletes the state, which is not needed after the last step."""
        self.path.unlink(missing_ok=True)
