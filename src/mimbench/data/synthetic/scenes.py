"""Scenes of rendered shapes, annotated by pixel and by object, of any size and number."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from mimbench.core.counter_rng import uniforms
from mimbench.data.source import Source, SplitName, split_lengths
from mimbench.data.synthetic.occlusion import Layers, covers, radius_range
from mimbench.data.synthetic.rendering import PaintedSplit
from mimbench.data.synthetic.shapes import OUTLINES

_DRAWS = 8  # per shape


class ScenesSplit(PaintedSplit):
    """Image i is a function of (seed, split, i): 0 to `max_objects` overlapping shapes."""

    object_names = tuple(OUTLINES)
    class_names = (*OUTLINES, "background")

    def __init__(
        self, length: int, size: int, max_objects: int, radii: tuple[float, float], seed: int, name: SplitName
    ) -> None:
        super().__init__(length, size)
        self.max_objects, self.radii, self.key = max_objects, radii, (seed, "scenes", name)

    def classes(self, i: int) -> UInt8[Tensor, "h w"]:
        return self.layers(i).classes(len(OUTLINES))

    def layers(self, i: int) -> Layers:
        draws = self._draws(i)
        labels = (draws[:, 0] * len(OUTLINES)).astype(np.int64)
        outlines = [self.object_names[label] for label in labels]
        return Layers(covers(outlines, draws[:, 1:5], self.radii, self.size), labels)

    def paint(self, i: int) -> UInt8[Tensor, "3 h w"]:
        at = np.array([i], np.int64)
        red, green, blue, tilt, spread = uniforms(5, at, *self.key, "background")[0]
        side = (np.arange(self.size) + 0.5) / self.size - 0.5
        slope = np.cos(2 * np.pi * tilt) * side[None, :] + np.sin(2 * np.pi * tilt) * side[:, None]
        noise = uniforms(self.size**2, at, *self.key, "noise").reshape(self.size, self.size) - 0.5
        background = 0.15 + 0.7 * np.array([red, green, blue])[:, None, None]
        image = background + 0.3 * spread * slope + 0.1 * noise
        for cover, color in zip(self.layers(i).covers, self._draws(i)[:, 5:8], strict=True):
            # At least 0.25 away from the background in every color, in either direction.
            foreground = (background + 0.25 + 0.5 * color[:, None, None]) % 1
            image = image + (foreground + 0.1 * noise - image) * cover
        return torch.from_numpy(np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8))

    def _draws(self, i: int) -> Float64[np.ndarray, "k 8"]:
        """Random numbers of each shape of an image: class, size, position (2), rotation, color."""
        at = np.array([i], np.int64)
        number = int(uniforms(1, at, *self.key, "number")[0, 0] * (self.max_objects + 1))
        return uniforms(_DRAWS * self.max_objects, at, *self.key, "shapes").reshape(-1, _DRAWS)[:number]


class Scenes(Source):
    """The eight shapes of `Shapes`, several to an image, of many sizes; some images are empty.

    Args:
        max_objects: Largest number of shapes; all numbers from 0 are equally frequent.
        radii: Smallest and largest radius of shapes as fractions of the side; their logarithm is uniform.
        seed: Determines the images. Part of the dataset, not of a run.

    Raises:
        ValueError: Images are too small, or a split or the images would be empty.
    """

    def __init__(
        self,
        image_size: int = 64,
        num_train: int = 4000,
        num_val: int = 200,
        num_test: int = 400,
        max_objects: int = 5,
        radii: Sequence[float] = (0.06, 0.35),
        seed: int = 0,
    ) -> None:
        if image_size < 32:
            raise ValueError(f"image_size is {image_size}; below 32 px the smaller shapes cannot be told apart.")
        if max_objects < 1:
            raise ValueError(f"max_objects is {max_objects}; it must be at least 1.")
        self.image_size, self.max_objects, self.seed = image_size, max_objects, seed
        self.radii = radius_range(radii)
        self.lengths = split_lengths(num_train, num_val, num_test)

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(OUTLINES)

    def split(self, name: SplitName) -> ScenesSplit:
        return ScenesSplit(self.lengths[name], self.image_size, self.max_objects, self.radii, self.seed, name)
