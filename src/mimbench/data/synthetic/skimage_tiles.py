"""Gray photographs of scikit-image, divided into disjoint regions for the splits."""

from functools import cached_property

import numpy as np
import skimage.data
from jaxtyping import Float, Float32, Float64, Int64

from mimbench.core.counter_rng import permutation
from mimbench.data.source import SplitName

# The photographs in scikit-image that are large and have structure nearly everywhere.
PHOTOGRAPHS = (
    "astronaut", "brick", "camera", "cat", "cell", "clock", "coffee", "coins",
    "grass", "gravel", "hubble_deep_field", "immunohistochemistry", "moon", "retina", "rocket", "text",
)  # fmt: skip
NUM_CANDIDATES = 4  # of which the crop with most contrast is taken: a normalized patch of empty sky is only noise
NUM_DRAWS = 3 * NUM_CANDIDATES  # that candidates take
LUMINANCE = np.array([0.2125, 0.7154, 0.0721], np.float32)  # ITU-R BT.709


class Photographs:
    """Photographs divided into tiles of about twice the side of a crop (once if the photograph is small).

    A sixth of the tiles is "val", a sixth "test", the rest "train". Crops stay within a tile, so that the splits share
    no pixel.

    Args:
        names: Names among `PHOTOGRAPHS`.
        size: Side of a crop in pixels.
        seed: Determines the split of each tile.

    Raises:
        ValueError: A name is unknown.
    """

    def __init__(self, names: tuple[str, ...], size: int, seed: int) -> None:
        if unknown := sorted(set(names) - set(PHOTOGRAPHS)):
            raise ValueError(f"Unknown photographs {unknown}; choose from {', '.join(PHOTOGRAPHS)}.")
        self.names, self.size, self.seed = names, size, seed

    @cached_property
    def gray(self) -> list[Float32[np.ndarray, "h w"]]:
        images = [np.asarray(getattr(skimage.data, name)(), np.float32) for name in self.names]
        return [image @ LUMINANCE if image.ndim == 3 else image for image in images]

    def candidates(
        self, label: int, name: SplitName, draws: Float64[np.ndarray, "n draws"]
    ) -> Float32[np.ndarray, "n candidates size size"]:
        """Crops of one photograph within the tiles of a split, `NUM_CANDIDATES` for each row of `NUM_DRAWS` draws."""
        size, tiles = self.size, self.tiles(label, name)
        pick, down, right = np.split(draws, 3, axis=1)
        top, left, bottom, end = np.moveaxis(tiles[(pick * len(tiles)).astype(int)], -1, 0)
        rows = top + (down * (bottom - top - size + 1)).astype(int)
        columns = left + (right * (end - left - size + 1)).astype(int)
        return np.lib.stride_tricks.sliding_window_view(self.gray[label], (size, size))[rows, columns]

    def tiles(self, label: int, name: SplitName) -> Int64[np.ndarray, "n 4"]:
        """The regions (top, left, bottom, right) of a photograph that belong to a split.

        Raises:
            ValueError: The photograph is too small for crops of this size.
        """
        height, width = self.gray[label].shape
        for side in (2 * self.size, self.size):
            num_rows, num_columns = height // side, width // side
            if num_rows * num_columns >= 3:
                break
        else:
            raise ValueError(
                f"The photograph {self.names[label]} ({width} x {height}) is too small for three disjoint "
                f"regions with crops of {self.size} px; lower image_size or leave it out of photographs."
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


def contrasted(
    crops: Float[np.ndarray, "*n size size"], mean: Float[np.ndarray, "*n 1 1"], deviation: Float[np.ndarray, "*n 1 1"]
) -> Float[np.ndarray, "*n size size"]:
    """Scales crops with this mean and deviation to gray values with mean 128 and deviation 40."""
    return 128 + 40 * (crops - mean) / (deviation + 0.01)
