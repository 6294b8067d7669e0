"""A split with images corrupted after the evaluation transform."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mimbench.core import denormalize
from mimbench.data.corruptions.corrupt import corrupt
from mimbench.data.loader import Batch
from mimbench.data.transforms import normalize


class Corrupted(Dataset[Batch]):
    """The batches of a plain loader's dataset with every image corrupted, as in ImageNet-C after the crop.

    Args:
        clean: The dataset of `datamodule.plain(split)`.
        frosts: Folder of photographs of frost, which "frost" needs.
    """

    def __init__(self, clean: Any, name: str, severity: int, seed: int = 0, frosts: Path | None = None) -> None:
        self.clean, self.name, self.severity, self.seed, self.frosts = clean, name, severity, seed, frosts

    def __len__(self) -> int:
        return len(self.clean)

    def __getitem__(self, i: int) -> Batch:
        return self.__getitems__([i])

    def __getitems__(self, indices: list[int]) -> Batch:
        batch = self.clean.__getitems__(indices)
        corrupted = [
            corrupt(image, self.name, self.severity, self.seed, index, self.frosts)
            for image, index in zip(_pixels(batch.images), batch.index.tolist(), strict=True)
        ]
        images = torch.from_numpy(np.stack(corrupted)).permute(0, 3, 1, 2).float()
        return batch._replace(images=normalize(images))


def _pixels(images: Tensor) -> np.ndarray:
    """Converts normalized images to 8 bits, "b h w 3"."""
    return (255 * denormalize(images)).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
