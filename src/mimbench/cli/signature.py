"""Ties a checkpoint to the configuration that made it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch

from mimbench.cli.mistakes import Mistake
from mimbench.sweeps.identity import relevant

_KEY = "mimbench_config"


class Signature(L.Callback):
    """Writes what can change the result into every checkpoint, and refuses checkpoints of another configuration."""

    def __init__(self, config: Mapping[str, Any]):
        self.config = relevant(config)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[_KEY] = json.dumps(self.config, sort_keys=True)

    def check(self, path: Path) -> None:
        """Raises Mistake unless the checkpoint exists and belongs to this configuration."""
        if not path.is_file():
            raise Mistake(f"resume={path}: there is no such file.")
        try:
            theirs = json.loads(torch.load(path, map_location="cpu", weights_only=True, mmap=True)[_KEY])
        except Exception as error:
            raise Mistake(f"resume={path} is no checkpoint of mimbench ({type(error).__name__}).") from error
        ours = json.loads(json.dumps(self.config))
        different = sorted(k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k))
        if different:
            examples = ", ".join(f"{k} ({theirs.get(k)} there, {ours.get(k)} here)" for k in different[:5])
            raise Mistake(f"resume={path} belongs to another configuration; it differs in {examples}.")
