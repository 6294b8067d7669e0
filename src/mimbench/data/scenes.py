"""Scenes of drawn shapes, annotated by pixel and by object: any size, any number, no download."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64, UInt8
from torch import Tensor
from torchvision.ops import masks_to_boxes

from mimbench.data.annotated import AnnotatedSplit, Objects
from mimbench.data.draws import uniforms
from mimbench.data.shapes import OUTLINES
from mimbench.data.source import Pictures, Source, SplitName

MIN_PIXELS = 9  # of which an object must show to be annotated
_DRAWS = 8  # per shape
_LARGEST = 2**27  # bytes of a split whose pictures are kept once they are painted


class ScenesSplit(AnnotatedSplit):
    """Picture i is a pure function of (seed, split, i): 0 to `max_objects` shapes, painted over each other."""

    object_names = tuple(OUTLINES)
    class_names = (*OUTLINES, "background")

    def __init__(
        self, length: int, size: int, max_objects: int, radii: tuple[float, float], seed: int, name: SplitName
    ) -> None:
        self.size, self.max_objects, self.radii, self.key = size, max_objects, radii, (seed, "scenes", name)
        self.labels = torch.full((length,), -1)
        self._painted: dict[int, Tensor] = {}
        self._kept = length * size**2 * 3 <= _LARGEST

    def __getitem__(self, i: int) -> tuple[UInt8[Tensor, "3 h w"], int]:
        return self.take([i]).images[0], -1

    def take(self, indices: Sequence[int]) -> Pictures:
        images = torch.stack([self._picture(int(i) % len(self)) for i in indices])
        return Pictures(images, self.labels[torch.as_tensor(indices)])

    def classes(self, i: int) -> UInt8[Tensor, "h w"]:
        found = torch.full((self.size, self.size), len(OUTLINES), dtype=torch.uint8)
        covers, labels, _ = self._shapes(i)
        for cover, label in zip(covers, labels.tolist(), strict=True):
            found[torch.from_numpy(cover >= 0.5)] = label
        return found

    def objects(self, i: int) -> Objects:
        """What is visible of every shape."""
        covers, labels, _ = self._shapes(i)
        masks = visible(torch.from_numpy(covers >= 0.5))
        shown = masks.flatten(1).sum(1) >= MIN_PIXELS
        masks = masks[shown]
        boxes = masks_to_boxes(masks) + torch.tensor([0, 0, 1, 1]) if len(masks) else torch.zeros(0, 4)
        return Objects(boxes.float(), torch.from_numpy(labels)[shown], masks, torch.zeros(len(masks), dtype=torch.bool))

    def _picture(self, i: int) -> UInt8[Tensor, "3 h w"]:
        if i in self._painted:
            return self._painted[i]
        picture = self._paint(i)
        if self._kept:
            self._painted[i] = picture
        return picture

    def _shapes(
        self, i: int
    ) -> tuple[Float64[np.ndarray, "k h w"], Int64[np.ndarray, " k"], Float64[np.ndarray, "k 3"]]:
        """How much of every pixel each shape covers, their classes and colours; from the back to the front."""
        at = np.array([i], np.int64)
        number = int(uniforms(1, at, *self.key, "number")[0, 0] * (self.max_objects + 1))
        draws = uniforms(_DRAWS * self.max_objects, at, *self.key, "shapes").reshape(-1, _DRAWS)[:number]
        labels = (draws[:, 0] * len(OUTLINES)).astype(np.int64)
        radius = self.radii[0] * (self.radii[1] / self.radii[0]) ** draws[:, 1]
        angle = 2 * np.pi * draws[:, 4]
        side = (np.arange(self.size) + 0.5) / self.size
        covers = np.empty((number, self.size, self.size))
        for k, label in enumerate(labels):
            dx, dy = side[None, None, :] - draws[k, 2], side[None, :, None] - draws[k, 3]
            cos, sin = np.cos(angle[k]), np.sin(angle[k])
            x, y = (cos * dx + sin * dy) / radius[k], (cos * dy - sin * dx) / radius[k]
            distance = list(OUTLINES.values())[label](x, y)[0]
            covers[k] = np.clip(0.5 - distance * radius[k] * self.size, 0, 1)  # one pixel of soft edge
        return covers, labels, draws[:, 5:8]

    def _paint(self, i: int) -> UInt8[Tensor, "3 h w"]:
        at = np.array([i], np.int64)
        red, green, blue, tilt, spread = uniforms(5, at, *self.key, "background")[0]
        side = (np.arange(self.size) + 0.5) / self.size - 0.5
        slope = np.cos(2 * np.pi * tilt) * side[None, :] + np.sin(2 * np.pi * tilt) * side[:, None]
        noise = uniforms(self.size**2, at, *self.key, "noise").reshape(self.size, self.size) - 0.5
        background = 0.15 + 0.7 * np.array([red, green, blue])[:, None, None]
        picture = background + 0.3 * spread * slope + 0.1 * noise
        covers, _, colours = self._shapes(i)
        for cover, colour in zip(covers, colours, strict=True):
            # At least 0.25 away from the background in every colour, in either direction.
            foreground = (background + 0.25 + 0.5 * colour[:, None, None]) % 1
            picture = picture + (foreground + 0.1 * noise - picture) * cover
        return torch.from_numpy(np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8))


def visible(masks: Bool[Tensor, "k h w"]) -> Bool[Tensor, "k h w"]:
    """What of each mask the later ones leave uncovered."""
    shown, covered = masks.clone(), torch.zeros(masks.shape[1:], dtype=torch.bool)
    for k in reversed(range(len(masks))):
        shown[k] &= ~covered
        covered |= masks[k]
    return shown


class Scenes(Source):
    """The eight shapes of `Shapes`, several to a picture, of many sizes; some pictures are empty.

    Args:
        max_objects: Most shapes of a picture; every number from 0 on is equally frequent.
        radii: Of the smallest and the largest shapes, as shares of the side; their logarithms are uniform.
        seed: Decides the pictures. Part of the dataset, not of a run.

    Raises:
        ValueError: Pictures are too small, or a split or the pictures would be empty.
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
        smallest, largest = radii
        if not 0 < smallest <= largest <= 0.5:
            raise ValueError(f"radii is {smallest}, {largest}; it must be a range of shares of the side up to 0.5.")
        self.image_size, self.max_objects, self.seed = image_size, max_objects, seed
        self.radii = smallest, largest
        self.lengths: dict[SplitName, int] = {"train": num_train, "val": num_val, "test": num_test}
        for name, length in self.lengths.items():
            if length < 1:
                raise ValueError(f"num_{name} is {length}; it must be at least 1.")

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(OUTLINES)

    def split(self, name: SplitName) -> ScenesSplit:
        return ScenesSplit(self.lengths[name], self.image_size, self.max_objects, self.radii, self.seed, name)
