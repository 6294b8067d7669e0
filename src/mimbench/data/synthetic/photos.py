"""Random crops of photographs in scikit-image: real images without a download."""

import numpy as np
import torch
from jaxtyping import Int64, UInt8

from mimbench.core.counter_rng import uniforms
from mimbench.data.source import MemorySplit, Source, SplitName, split_lengths
from mimbench.data.synthetic.skimage_tiles import NUM_DRAWS, PHOTOGRAPHS, Photographs, contrasted


class Photos(Source):
    """Gray, contrast-normalized crops; the class is the photograph. Chance level: 1 / number of photographs.

    The splits share no pixel of a photograph, see `Photographs`.

    Args:
        image_size: Side of a crop in pixels.
        seed: Determines tiles and crops. Part of the dataset, not of a run.
    """

    crop_scale = (0.4, 1.0)  # a crop of 32 px has no margin

    def __init__(
        self,
        image_size: int = 32,
        num_train: int = 4000,
        num_val: int = 1000,
        num_test: int = 2000,
        photographs: tuple[str, ...] | list[str] = PHOTOGRAPHS,
        seed: int = 0,
    ) -> None:
        self.image_size, self.seed = image_size, seed
        self.photographs = Photographs(tuple(photographs), image_size, seed)
        least, need = len(self.classes), "it needs at least one crop per photograph"
        self.lengths = split_lengths(num_train, num_val, num_test, least, need)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.photographs.names

    def split(self, name: SplitName) -> MemorySplit:
        length = self.lengths[name]
        labels = np.arange(length) % len(self.classes)
        crops = np.empty((length, self.image_size, self.image_size), np.uint8)
        for label in range(len(self.classes)):
            chosen = np.flatnonzero(labels == label)
            crops[chosen] = self._crops(name, label, chosen)
        images = torch.from_numpy(crops)[:, None].repeat(1, 3, 1, 1)
        return MemorySplit(images, torch.from_numpy(labels))

    def _crops(self, name: SplitName, label: int, index: Int64[np.ndarray, " n"]) -> UInt8[np.ndarray, "n size size"]:
        """Of the candidates each the one with most contrast."""
        draws = uniforms(NUM_DRAWS, index, self.seed, "photos", name, label)
        candidates = self.photographs.candidates(label, name, draws)
        contrast = candidates.std(axis=(2, 3))
        crops = candidates[np.arange(len(index)), contrast.argmax(1)]
        mean, deviation = crops.mean(axis=(1, 2), keepdims=True), crops.std(axis=(1, 2), keepdims=True)
        return np.clip(np.rint(contrasted(crops, mean, deviation)), 0, 255).astype(np.uint8)
