"""Training crops and test images with a class per pixel."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mimbench.data import ImageDataModule
from mimbench.data.annotated import IGNORED, AnnotatedSplit, annotated
from mimbench.data.loader import TrainLoader, TrainSet
from mimbench.data.sampler import Draw
from mimbench.data.source import SplitName
from mimbench.data.transforms import normalize
from mimbench.data.workers import SteadyLoader
from mimbench.evaluation.segmentation.augmentation import Augmentation, fitted, scaled, scaled_classes


class ClassMaps(NamedTuple):
    """Normalized images with a class per pixel; `index` is their position in the split."""

    images: Float32[Tensor, "b 3 h w"]
    classes: UInt8[Tensor, "b h w"]
    index: Int64[Tensor, " b"]


class TestImage(NamedTuple):
    """A normalized image, scaled for the network, and its classes at the original size."""

    image: Float32[Tensor, "3 h w"]
    classes: UInt8[Tensor, "height width"]


class AugmentedMaps(TrainSet):
    """A split with augmentation; its items are whole batches."""

    def __init__(self, split: AnnotatedSplit, augmentation: Augmentation) -> None:
        self.split: AnnotatedSplit = split
        self.augmentation = augmentation

    def __getitem__(self, draw: Draw) -> ClassMaps:  # pyright: ignore[reportIncompatibleMethodOverride]
        examples = [
            self.augmentation(self.split.image(i), checked(self.split, i), i, draw.epoch) for i in draw.index.tolist()
        ]
        images, classes = zip(*examples, strict=True)
        return ClassMaps(torch.stack(images), torch.stack(classes), torch.from_numpy(draw.index))


class CenterMaps(Dataset[tuple[Tensor, Tensor]]):
    """The center crop of each image, for the loss on the validation split."""

    def __init__(self, split: AnnotatedSplit, size: int) -> None:
        self.split, self.size = split, size

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, i: int) -> ClassMaps:
        image, classes = self.split.image(i), checked(self.split, i)
        height, width = fitted(classes.shape[0], classes.shape[1], self.size)
        image, classes = scaled(image, height, width), scaled_classes(classes, height, width)
        below, right = max(self.size - height, 0), max(self.size - width, 0)
        top, left = (max(side - self.size, 0) // 2 for side in (height, width))
        padded = torch.nn.functional.pad(normalize(image.float()[None])[0], (0, right, 0, below))
        classes = torch.nn.functional.pad(classes, (0, right, 0, below), value=IGNORED)
        place = slice(top, top + self.size), slice(left, left + self.size)
        return ClassMaps(padded[:, *place], classes[place], torch.tensor(i))


class TestImages(Dataset[TestImage]):
    """The images of a split at full extent, for evaluation."""

    def __init__(self, split: AnnotatedSplit, size: int) -> None:
        self.split, self.size = split, size

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, i: int) -> TestImage:
        image, classes = self.split.image(i), checked(self.split, i)
        height, width = fitted(classes.shape[0], classes.shape[1], self.size)
        return TestImage(normalize(scaled(image, height, width).float()[None])[0], classes)


class SegmentationData(ImageDataModule):
    """The images of another data module with a class per pixel.

    Args:
        size: Side of training crops and shorter side of test images, in pixels.

    Raises:
        ValueError: The data have no classes per pixel, a split is empty, or a batch is larger than the training set.
    """

    def __init__(self, data: ImageDataModule, size: int, batch_size: int, photometric: bool, seed: int) -> None:
        super().__init__(data.source, size, batch_size, data.eval_batch_size, data.num_workers, seed, flip=data.flip)
        self.read, self.photometric = data, photometric
        self.class_names = self.annotated("train").class_names
        for name in ("val", "test"):
            self.annotated(name)
        if batch_size > self.num_train:
            raise ValueError(f"batch_size={batch_size} exceeds the {self.num_train} training images; lower it.")

    def split(self, name: SplitName) -> AnnotatedSplit:
        return self.annotated(name)

    def annotated(self, name: SplitName) -> AnnotatedSplit:
        return annotated(self.read.split(name), "classes", name)

    def train_dataloader(self) -> TrainLoader:
        augmentation = Augmentation(self.image_size, self.flip, self.photometric, self.seed)
        dataset = AugmentedMaps(self.annotated("train"), augmentation)
        return TrainLoader(dataset, self._sampler(dataset), **self._options())

    def val_dataloader(self) -> DataLoader[ClassMaps]:  # pyright: ignore[reportIncompatibleMethodOverride]
        size = min(self.eval_batch_size, self.batch_size)
        return SteadyLoader(CenterMaps(self.annotated("val"), self.image_size), batch_size=size, **self._options())

    def whole(self, name: SplitName) -> Iterator[TestImage]:
        """Yields the images of a split in order."""
        dataset = TestImages(self.annotated(name), self.image_size)
        yield from SteadyLoader(dataset, batch_size=None, num_workers=self.num_workers)


def checked(split: AnnotatedSplit, i: int) -> UInt8[Tensor, "h w"]:
    """Classes of an image; raises ValueError with the file name if one is unknown."""
    classes = split.classes(i)
    values = classes[classes != IGNORED]
    if len(values) and int(values.max()) >= len(split.class_names):
        raise ValueError(
            f"{split.identifier(i)} has a pixel of class {int(values.max())}, but there are {len(split.class_names)} "
            f"classes (from 0); {IGNORED} marks pixels without a class. Repair or remove the file."
        )
    return classes
