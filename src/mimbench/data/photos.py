"""Random crops of the photographs that scikit-image carries: real pictures without a download."""

from functools import cached_property

import numpy as np
import skimage.data
import torch
from jaxtyping import Float32, Int64

from mimbench.data.draws import permutation, uniforms
from mimbench.data.source import MemorySplit, Source, SplitName

# Those shipped inside scikit-image that are large and have structure nearly everywhere.
PHOTOGRAPHS = (
    "astronaut", "brick", "camera", "cat", "cell", "clock", "coffee", "coins",
    "grass", "gravel", "hubble_deep_field", "immunohistochemistry", "moon", "retina", "rocket", "text",
)  # fmt: skip
NUM_CANDIDATES = 4
LUMINANCE = np.array([0.2125, 0.7154, 0.0721], np.float32)  # ITU-R BT.709


class Photos(Source):
    """Which photograph is this grey, contrast-normalised crop from? Chance level: 1 / number of photographs.

    Every photograph is cut into tiles of about two crops' side (one where it is small). A sixth of the tiles is
    "val", a sixth "test", the rest "train", and a crop never leaves its tile: the splits share no pixel.

    Args:
        image_size: Side of a crop in pixels.
        seed: Decides tiles and crops. Part of the dataset, not of a run.
    """

    crop_scale = (0.4, 1.0)  # a crop of 32 px has little to spare

    def __init__(
        self,
        image_size: int = 32,
        num_train: int = 4000,
        num_val: int = 1000,
        num_test: int = 2000,
        photographs: tuple[str, ...] | list[str] = PHOTOGRAPHS,
        seed: int = 0,
    ) -> None:
        if unknown := sorted(set(photographs) - set(PHOTOGRAPHS)):
            raise ValueError(f"Unknown photographs {unknown}; choose from {', '.join(PHOTOGRAPHS)}.")
        self.image_size, self.seed = image_size, seed
        self.photographs = tuple(photographs)
        self.lengths: dict[SplitName, int] = {"train": num_train, "val": num_val, "test": num_test}
        for name, length in self.lengths.items():
            if length < len(self.photographs):
                raise ValueError(f"num_{name} is {length}; it needs at least one crop per photograph.")

    @property
    def classes(self) -> tuple[str, ...]:
        return self.photographs

    @cached_property
    def _grey(self) -> list[Float32[np.ndarray, "h w"]]:
        pictures = [np.asarray(getattr(skimage.data, name)(), np.float32) for name in self.photographs]
        return [picture @ LUMINANCE if picture.ndim == 3 else picture for picture in pictures]

    def split(self, name: SplitName) -> MemorySplit:
        length = self.lengths[name]
        labels = np.arange(length) % len(self.photographs)
        crops = np.empty((length, self.image_size, self.image_size), np.uint8)
        for label in range(len(self.photographs)):
            chosen = np.flatnonzero(labels == label)
            crops[chosen] = self._crops(name, label, chosen)
        images = torch.from_numpy(crops)[:, None].repeat(1, 3, 1, 1)
        return MemorySplit(images, torch.from_numpy(labels))

    def _crops(self, name: SplitName, label: int, index: Int64[np.ndarray, " n"]) -> np.ndarray:
        """Of a few candidates each the one with most contrast: a normalised patch of empty sky is only noise."""
        picture, size = self._grey[label], self.image_size
        tiles = self.tiles(label, name)
        draws = uniforms(3 * NUM_CANDIDATES, index, self.seed, "photos", name, label)
        pick, down, right = np.split(draws, 3, axis=1)
        top, left, bottom, end = np.moveaxis(tiles[(pick * len(tiles)).astype(int)], -1, 0)
        rows = top + (down * (bottom - top - size + 1)).astype(int)
        columns = left + (right * (end - left - size + 1)).astype(int)
        windows = np.lib.stride_tricks.sliding_window_view(picture, (size, size))
        candidates = windows[rows, columns]  # "n candidates h w"
        contrast = candidates.std(axis=(2, 3))
        crops = candidates[np.arange(len(index)), contrast.argmax(1)]
        mean, deviation = crops.mean(axis=(1, 2), keepdims=True), crops.std(axis=(1, 2), keepdims=True)
        return np.clip(np.rint(128 + 40 * (crops - mean) / (deviation + 0.01)), 0, 255).astype(np.uint8)

    def tiles(self, label: int, name: SplitName) -> Int64[np.ndarray, "n 4"]:
        """The regions (top, left, bottom, right) of a photograph that belong to a split."""
        height, width = self._grey[label].shape
        for side in (2 * self.image_size, self.image_size):
            num_rows, num_columns = height // side, width // side
            if num_rows * num_columns >= 3:
                break
        else:
            raise ValueError(
                f"The photograph {self.photographs[label]} ({width} x {height}) is too small for three disjoint "
                f"regions with crops of {self.image_size} px; lower image_size or leave it out of photographs."
            )
        rows, columns = (
            np.linspace(0, side, num + 1).astype(np.int64) for side, num in ((height, num_rows), (width, num_columns))
        )
        top, left = (grid.ravel() for grid in np.meshgrid(rows[:-1], columns[:-1], indexing="ij"))
        bottom, right = (grid.ravel() for grid in np.meshgrid(rows[1:], columns[1:], indexing="ij"))
        order = permutation(len(top), self.seed, "tiles", label)
        held = max(1, len(order) // 6)
        chosen = {"val": order[:held], "test": order[held : 2 * held], "train": order[2 * held :]}[name]
        return np.stack([top, left, bottom, right], axis=1)[np.sort(chosen)]
