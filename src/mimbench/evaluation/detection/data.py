"""Batches of images and objects for detectors."""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mimbench.core.counter_rng import uniforms
from mimbench.data import ImageDataModule, Split, TrainLoader
from mimbench.data.annotated import AnnotatedSplit, annotated
from mimbench.data.loader import TrainSet
from mimbench.data.sampler import Draw
from mimbench.data.source import SplitName
from mimbench.data.workers import SteadyLoader
from mimbench.evaluation.detection.jitter import Example, jittered, plain
from mimbench.evaluation.detection.recipe import DetectionRecipe

_SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


class DetectionBatch(NamedTuple):
    """Images padded to squares of one size, with their objects.

    Attributes:
        images: Normalized, with zeros as padding.
        sizes: Height and width of every image in pixels, without padding.
        targets: `boxes`, `labels` from 1 and `masks` of every image.
        index: Positions of the images in the split.
    """

    images: Float32[Tensor, "b 3 s s"]
    sizes: Int64[Tensor, "b 2"]
    targets: list[dict[str, Tensor]]
    index: Int64[Tensor, " b"]


class JitteredSet(TrainSet):
    """An annotated split with large-scale jitter, a function of seed, epoch and image; its items are whole batches."""

    def __init__(self, split: AnnotatedSplit, recipe: DetectionRecipe, side: int, flip: bool, seed: int) -> None:
        self.split, self.recipe, self.side, self.flip, self.seed = split, recipe, side, flip, seed

    def __getitem__(self, draw: Draw) -> DetectionBatch:  # pyright: ignore[reportIncompatibleMethodOverride]
        split, (low, high) = self.split, self.recipe.scale_range
        assert isinstance(split, AnnotatedSplit)
        draws = uniforms(4, draw.index, self.seed, "detection", draw.epoch)
        examples = [
            jittered(split.image(i), split.objects(i), self.side, numbers, (low, high), self.flip)
            for i, numbers in zip(draw.index.tolist(), draws, strict=True)
        ]
        return collate(examples, draw.index)


class PlainDetectionSet(Dataset[DetectionBatch]):
    """An annotated split, scaled to fit the square, without augmentation."""

    def __init__(self, split: AnnotatedSplit, side: int) -> None:
        self.split, self.side = split, side

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, i: int) -> DetectionBatch:
        return self.__getitems__([i])

    def __getitems__(self, indices: list[int]) -> DetectionBatch:
        """Loads a whole batch; PyTorch's loader prefers this method."""
        examples = [plain(self.split.image(i), self.split.objects(i), self.side) for i in indices]
        return collate(examples, np.array(indices, np.int64))


class DetectionData(ImageDataModule):
    """The images and objects of another data module in batches as the recipe defines.

    Raises:
        ValueError: A split has no objects, the splits have different classes, or a batch is larger than the training
            set.
    """

    def __init__(self, data: ImageDataModule, recipe: DetectionRecipe, seed: int) -> None:
        side = data.image_size if recipe.image_size is None else recipe.image_size
        super().__init__(
            data.source,
            side,
            recipe.batch_size,
            data.eval_batch_size,
            data.num_workers,
            seed,
            flip=data.flip and recipe.flip,
        )
        self.recipe, self.read = recipe, data
        names = {self.annotated(name).object_names for name in _SPLITS}
        if len(names) > 1:
            raise ValueError("train, val and test have different object classes; use the same classes in all three.")
        for name in _SPLITS:
            if not any((~split.objects(i).crowd).any() for split in [self.annotated(name)] for i in range(len(split))):
                raise ValueError(f"The split {name} has no objects; detection needs objects in train, val and test.")
        if recipe.batch_size > self.num_train:
            raise ValueError(
                f"detect.batch_size={recipe.batch_size} exceeds the {self.num_train} training images; lower it."
            )

    @property
    def object_names(self) -> tuple[str, ...]:
        return self.annotated("train").object_names

    def split(self, name: SplitName) -> Split:
        return self.read.split(name)

    def annotated(self, name: SplitName) -> AnnotatedSplit:
        """The split with its objects as annotations."""
        return annotated(self.split(name), "objects", name)

    def train_dataloader(self) -> TrainLoader:
        dataset = JitteredSet(self.annotated("train"), self.recipe, self.image_size, self.flip, self.seed)
        return TrainLoader(dataset, self._sampler(dataset), **self._options())

    def plain(self, split: SplitName) -> DataLoader[Any]:
        """A complete split in order, without augmentation, for evaluation."""
        return SteadyLoader(
            PlainDetectionSet(self.annotated(split), self.image_size),
            batch_size=min(self.eval_batch_size, self.recipe.batch_size),
            collate_fn=_unchanged,
            **self._options(),
        )


def collate(examples: list[Example], index: Int64[np.ndarray, " b"]) -> DetectionBatch:
    """Stacks examples to a batch."""
    return DetectionBatch(
        torch.stack([example.image for example in examples]),
        torch.tensor([example.size for example in examples]),
        [example.target for example in examples],
        torch.from_numpy(index),
    )


def _unchanged(collated: Any) -> DetectionBatch:
    """Returns the batch, which the dataset has already collated."""
    return collated
