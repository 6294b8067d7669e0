"""The state of a probe that trains for long, on disk."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from mimbench.core.files import remove_partial, replacing
from mimbench.evaluation.features.fingerprint import of_module


class Resume:
    """Keeps the newest state in one file, whole or absent, and hands it out to the same probe of the same encoder.

    Args:
        what: Everything else that decides the result, such as the protocol's label and parameters.
    """

    def __init__(self, directory: Path, encoder: nn.Module, what: str):
        self.path, self.key = directory / "state.pt", f"{what} {of_module(encoder)}"

    def load(self) -> dict[str, Any] | None:
        """The newest state, or None where there is none of this probe."""
        if not self.path.exists():
            return None
        saved = torch.load(self.path, map_location="cpu", weights_only=True, mmap=True)
        return saved["state"] if saved["key"] == self.key else None

    def save(self, state: dict[str, Any]) -> None:
        remove_partial(self.path)
        with replacing(self.path) as file:
            torch.save({"key": self.key, "state": state}, file)

    def forget(self) -> None:
        """After the last step nobody needs it."""
        self.path.unlink(missing_ok=True)
