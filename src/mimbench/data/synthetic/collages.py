"""Collages of photographs, annotated by pixel and by object; classes differ in texture."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64, Int64, UInt8
from torch import Tensor

from mimbench.core.counter_rng import uniforms
from mimbench.data.source import Source, SplitName, split_lengths
from mimbench.data.synthetic.occlusion import Layers, covers, radius_range
from mimbench.data.synthetic.rendering import PaintedSplit
from mimbench.data.synthetic.skimage_tiles import NUM_DRAWS, Photographs, contrasted

# Photographs with a uniform texture.
TEXTURES = (
    "brick", "cat", "coins", "grass", "gravel", "hubble_deep_field", "immunohistochemistry", "text",
)  # fmt: skip
_OUTLINES = ("circle", "square", "triangle", "cross", "bar", "flower")  # outlines without a hole
_DRAWS = 5  # random numbers per region


class CollagesSplit(PaintedSplit):
    """Image i is a function of (seed, split, i): a crop of one photograph with crops of others pasted on it.

    Each photograph occurs at most once in an image and is the class of its pixels.
    """

    def __init__(
        self, length: int, photographs: Photographs, max_objects: int, radii: tuple[float, float], name: SplitName
    ) -> None:
        super().__init__(length, photographs.size)
        self.photographs, self.max_objects, self.radii = photographs, max_objects, radii
        self.name: SplitName = name
        self.key = (photographs.seed, "collages", name)
        self.class_names = self.object_names = photographs.names

    def classes(self, i: int) -> UInt8[Tensor, "h w"]:
        return self.layers(i).classes(background=int(self._shown(i)[0]))

    def layers(self, i: int) -> Layers:
        labels = self._shown(i)[1:]
        draws = uniforms(_DRAWS * self.max_objects, np.array([i], np.int64), *self.key, "regions").reshape(-1, _DRAWS)
        outlines = [_OUTLINES[int(draw * len(_OUTLINES))] for draw in draws[: len(labels), 0]]
        return Layers(covers(outlines, draws[: len(labels), 1:], self.radii, self.size), labels)

    def paint(self, i: int) -> UInt8[Tensor, "3 h w"]:
        image = np.zeros((self.size, self.size))
        everywhere = np.ones((1, self.size, self.size))
        places = np.concatenate([everywhere, self.layers(i).covers])
        for label, cover in zip(self._shown(i).tolist(), places, strict=True):
            image += (self._filling(i, label, cover) - image) * cover
        gray = torch.from_numpy(np.rint(np.clip(image, 0, 255)).astype(np.uint8))
        return gray.expand(3, -1, -1).contiguous()

    def _shown(self, i: int) -> Int64[np.ndarray, " k"]:
        """Photographs of an image, the background first."""
        at = np.array([i], np.int64)
        number = 1 + int(uniforms(1, at, *self.key, "number")[0, 0] * (self.max_objects + 1))
        return np.argsort(uniforms(len(self.class_names), at, *self.key, "photographs")[0]).astype(np.int64)[:number]

    def _filling(self, i: int, label: int, cover: Float64[np.ndarray, "h w"]) -> Float64[np.ndarray, "h w"]:
        """The candidate with the highest contrast in the region, scaled to a given mean and deviation there."""
        if not cover.any():
            return cover
        draws = uniforms(NUM_DRAWS, np.array([i], np.int64), *self.key, label)
        candidates = self.photographs.candidates(label, self.name, draws)[0].astype(np.float64)
        weights = cover / cover.sum()
        mean = (candidates * weights).sum((1, 2), keepdims=True)
        deviation = np.sqrt(((candidates - mean) ** 2 * weights).sum((1, 2), keepdims=True))
        best = int(deviation.argmax())
        return contrasted(candidates[best], mean[best], deviation[best])


class Collages(Source):
    """Images whose regions are crops of different photographs, which are the classes of the pixels.

    Crops are gray, and all regions have the same mean and contrast. The splits share no pixel of a photograph, see
    `Photographs`. Some images show one photograph without objects.

    Args:
        max_objects: Largest number of regions on the background; all numbers from 0 are equally frequent.
        radii: Smallest and largest radius of regions as fractions of the side; their logarithm is uniform.
        photographs: Names among those of `Photos`.
        seed: Determines tiles and images. Part of the dataset, not of a run.

    Raises:
        ValueError: Images are too small, a photograph is unknown, there are too few of them, or a split or the
            regions would be empty.
    """

    crop_scale = (0.4, 1.0)  # as for Photos

    def __init__(
        self,
        image_size: int = 64,
        num_train: int = 4000,
        num_val: int = 200,
        num_test: int = 400,
        max_objects: int = 3,
        radii: Sequence[float] = (0.2, 0.45),
        photographs: Sequence[str] = TEXTURES,
        seed: int = 0,
    ) -> None:
        if image_size < 32:
            raise ValueError(f"image_size is {image_size}; below 32 px a region shows too little of a photograph.")
        if not 1 <= max_objects < len(set(photographs)):
            raise ValueError(
                f"max_objects is {max_objects}; it must be at least 1 and below the {len(set(photographs))} "
                "photographs, for none is in an image twice."
            )
        self.image_size, self.max_objects, self.radii = image_size, max_objects, radius_range(radii)
        self.photographs = Photographs(tuple(photographs), image_size, seed)
        self.lengths = split_lengths(num_train, num_val, num_test)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.photographs.names

    def split(self, name: SplitName) -> CollagesSplit:
        """One of the three splits. Raises ValueError where a photograph is too small for this image size."""
        for label in range(len(self.classes)):
            self.photographs.tiles(label, name)
        return CollagesSplit(self.lengths[name], self.photographs, self.max_objects, self.radii, name)
