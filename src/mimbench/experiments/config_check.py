"""Checks that a checkpoint belongs to the configuration that resumes from it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch

from mimbench.core.errors import UserError
from mimbench.runs.identity import relevant

_KEY = "mimbench_config"


class ConfigCheck(L.Callback):
    """Stores the configuration, as far as it can change the result, in every checkpoint; rejects other checkpoints."""

    def __init__(self, config: Mapping[str, Any]):
        self.config = relevant(config)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[_KEY] = json.dumps(self.config, sort_keys=True)

    def check(self, path: Path) -> None:
        """Raises UserError if the checkpoint is missing or belongs to another configuration."""
        if not path.is_file():
            raise UserError(f"resume={path}: there is no such file; give a checkpoint, RUN/checkpoints/last.ckpt.")
        try:
            theirs = json.loads(torch.load(path, map_location="cpu", weights_only=True, mmap=True)[_KEY])
        except Exception as error:
            raise UserError(
                f"resume={path} is not a mimbench checkpoint ({type(error).__name__}); give RUN/checkpoints/last.ckpt."
            ) from error
        ours = json.loads(json.dumps(self.config))
        different = sorted(k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k))
        if different:
            examples = ", ".join(f"{k} ({theirs.get(k)} there, {ours.get(k)} here)" for k in different[:5])
            raise UserError(
                f"resume={path} belongs to another configuration; it differs in {examples}. Set these as there, or "
                "leave out resume."
            )
