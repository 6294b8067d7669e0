"""Labeled images of one colored shape on a noisy gradient, of any size and number."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float64, Int64, UInt8
from torch import Tensor

from mimbench.core.counter_rng import uniforms
from mimbench.data.source import Samples, Source, Split, SplitName, split_lengths

Plane = Float64[np.ndarray, "b h w"]


def box(x: Plane, y: Plane, width: float, height: float) -> Plane:
    return np.maximum(np.abs(x) - width, np.abs(y) - height)


# Signed distance to the outline, negative inside, for a shape of radius about 1.
OUTLINES: dict[str, Callable[[Plane, Plane], Plane]] = {
    "circle": lambda x, y: np.hypot(x, y) - 0.9,
    "ring": lambda x, y: np.abs(np.hypot(x, y) - 0.75) - 0.2,
    "square": lambda x, y: box(x, y, 0.75, 0.75),
    "frame": lambda x, y: np.abs(box(x, y, 0.65, 0.65)) - 0.17,
    "triangle": lambda x, y: np.maximum(-y, 0.866 * np.abs(x) + 0.5 * y) - 0.5,
    "cross": lambda x, y: np.minimum(box(x, y, 0.28, 1.0), box(x, y, 1.0, 0.28)),
    "bar": lambda x, y: box(x, y, 1.0, 0.3),
    "flower": lambda x, y: np.hypot(x, y) - 0.65 - 0.3 * np.cos(5 * np.arctan2(y, x)),
}


class ShapesSplit(Split):
    """Image i is a function of (seed, split, i) and shows shape i modulo the number of shapes."""

    def __init__(self, length: int, size: int, seed: int, name: SplitName) -> None:
        self.size, self.seed, self.name = size, seed, name
        self.labels = torch.arange(length) % len(OUTLINES)

    def __getitem__(self, i: int) -> tuple[UInt8[Tensor, "3 h w"], int]:
        return self._draw(np.array([i % len(self)], np.int64))[0], int(self.labels[i])

    def take(self, indices: Sequence[int]) -> Samples:
        return Samples(self._draw(np.array(indices, np.int64)), self.labels[torch.as_tensor(indices)])

    def _draw(self, index: Int64[np.ndarray, " b"]) -> UInt8[Tensor, "b 3 h w"]:
        key = self.seed, "shapes", self.name
        draws = uniforms(12, index, *key)
        radius, across, down, angle, tilt, spread, *colors = draws.T[:, :, None, None]
        radius = 0.2 + 0.25 * radius
        across, down = (radius + (1 - 2 * radius) * center for center in (across, down))
        side = (np.arange(self.size) + 0.5) / self.size
        dx, dy = side[None, None, :] - across, side[None, :, None] - down
        cos, sin = np.cos(2 * np.pi * angle), np.sin(2 * np.pi * angle)
        x, y = (cos * dx + sin * dy) / radius, (cos * dy - sin * dx) / radius
        distance = np.empty(x.shape)
        for label, outline in enumerate(OUTLINES.values()):
            shown = index % len(OUTLINES) == label
            distance[shown] = outline(x[shown], y[shown])
        cover = np.clip(0.5 - distance * radius * self.size, 0, 1)  # one pixel of soft edge
        slope = np.cos(2 * np.pi * tilt) * (side[None, None, :] - 0.5) + np.sin(2 * np.pi * tilt) * (
            side[None, :, None] - 0.5
        )
        noise = uniforms(self.size**2, index, *key, "noise").reshape(cover.shape) - 0.5
        background = 0.15 + 0.7 * np.stack(colors[:3], axis=1)
        # At least 0.25 away from the background in every color, in either direction.
        foreground = (background + 0.25 + 0.5 * np.stack(colors[3:], axis=1)) % 1
        image = background + ((0.3 * spread * slope) + 0.1 * noise)[:, None]
        image += (foreground - image) * cover[:, None]
        return torch.from_numpy(np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8))


class Shapes(Source):
    """Eight shapes with random position, size, rotation and color.

    Args:
        seed: Determines the images. Part of the dataset, not of a run.
    """

    def __init__(
        self, image_size: int = 32, num_train: int = 10_000, num_val: int = 1000, num_test: int = 2000, seed: int = 0
    ) -> None:
        if image_size < 8:
            raise ValueError(f"image_size is {image_size}; below 8 px the shapes cannot be told apart.")
        self.image_size, self.seed = image_size, seed
        least, need = len(OUTLINES), "it needs at least one image of each shape"
        self.lengths = split_lengths(num_train, num_val, num_test, least, need)

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(OUTLINES)

    def split(self, name: SplitName) -> ShapesSplit:
        return ShapesSplit(self.lengths[name], self.image_size, self.seed, name)
