"""Features of a datamodule's splits, extracted when first asked for."""

import hashlib
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mimbench.data import ImageDataModule
from mimbench.data.source import SplitName
from mimbench.encoders import Encoder
from mimbench.evaluation.features import Features, assemble, extract

FINGERPRINT = "encoder.txt"


class FeatureCache:
    """Hands out the features of a split at every depth; all protocols that share it cost one pass per split.

    Nothing is read before it is asked for, the test split least of all.

    Args:
        device: Where the encoder runs and protocols compute.
        directory: Keeps memory-mapped features on disk; for one encoder and one datamodule only. None: in memory.

    Raises:
        ValueError: When called, if the directory holds the features of other weights.
    """

    def __init__(
        self,
        encoder: Encoder,
        datamodule: ImageDataModule,
        device: torch.device | str = "cpu",
        directory: Path | None = None,
    ):
        self.encoder, self.datamodule = encoder, datamodule
        self.device, self.directory = torch.device(device), directory
        self._splits: dict[SplitName, Features] = {}

    def __call__(self, split: SplitName) -> Features:
        if split not in self._splits:
            self._splits[split] = (
                self._extract(split) if self.directory is None else self._on_disk(self.directory, split)
            )
        return self._splits[split]

    def _extract(self, split: SplitName, directory: Path | None = None) -> Features:
        depths = range(self.encoder.depth + 1)
        return extract(self.encoder, self.datamodule.plain(split), depths, self.device, directory)

    def _on_disk(self, directory: Path, split: SplitName) -> Features:
        key, folder = fingerprint(self.encoder), directory / split
        if not folder.exists():
            directory.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix=f".{split}-", dir=directory))
            try:
                self._extract(split, unfinished)
                (unfinished / FINGERPRINT).write_text(key)
                _publish(unfinished, folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
        if (folder / FINGERPRINT).read_text() != key:
            raise ValueError(f"{folder} holds features of another encoder; delete it or name another directory.")
        return assemble({path.stem: _map(path) for path in folder.glob("*.npy")}, self.device)


def fingerprint(module: nn.Module) -> str:
    """SHA-256 of names, shapes and bytes of a module's weights."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _publish(unfinished: Path, folder: Path) -> None:
    """A rename, so that a folder is complete or absent; another job that was faster wins."""
    try:
        unfinished.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _map(path: Path) -> Tensor:
    # Copy on write: the tensor may be written to, the file never is.
    return torch.from_numpy(np.load(path, mmap_mode="c"))
