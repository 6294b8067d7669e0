"""Augmented training data and plain evaluation data for fine-tuning."""

import torch

from mimbench.data import Batch, ImageDataModule, Split, TrainLoader
from mimbench.data.loader import TrainSet
from mimbench.data.sampler import Draw
from mimbench.data.source import SplitName
from mimbench.evaluation.finetuning.augmentation import Augmentation
from mimbench.evaluation.finetuning.recipe import FineTuneRecipe
from mimbench.evaluation.selection import check_labels

_LABELED: tuple[SplitName, ...] = ("train", "val", "test")


class AugmentedSet(TrainSet):
    """A split with a recipe's augmentation; its items are whole batches."""

    def __init__(self, split: Split, augmentation: Augmentation) -> None:
        self.split, self.augmentation = split, augmentation

    def __getitem__(self, draw: Draw) -> Batch:
        samples = self.split.take(draw.index.tolist())
        images = self.augmentation(samples, draw.index, draw.epoch)
        return Batch(images, samples.labels, torch.from_numpy(draw.index))


class FineTuneData(ImageDataModule):
    """The images of another data module with the batch size and training augmentation of a recipe.

    Evaluation uses the transform of the other data module.

    Raises:
        ValueError: A split is empty or has images without a label, or a batch is larger than the training set.
    """

    def __init__(self, data: ImageDataModule, recipe: FineTuneRecipe, seed: int) -> None:
        crop_scale = data.crop_scale if recipe.crop_scale is None else (recipe.crop_scale[0], recipe.crop_scale[1])
        super().__init__(
            data.source,
            data.image_size,
            recipe.batch_size,
            data.eval_batch_size,
            data.num_workers,
            seed,
            crop_scale,
            data.flip,
        )
        self.recipe, self.read = recipe, data
        if recipe.batch_size > self.num_train:
            raise ValueError(
                f"finetune.batch_size={recipe.batch_size} exceeds the {self.num_train} training images; lower it."
            )
        for name in _LABELED:
            labels = self.split(name).labels
            check_labels(labels, name)
            if int(labels.max()) >= self.num_classes:
                raise ValueError(
                    f"{name} has labels up to {int(labels.max())}, but there are {self.num_classes} classes."
                )

    def split(self, name: SplitName) -> Split:
        return self.read.split(name)

    def train_dataloader(self) -> TrainLoader:
        augmentation = Augmentation(self.recipe, self.image_size, self.crop_scale, self.flip, self.seed)
        dataset = AugmentedSet(self.split("train"), augmentation)
        return TrainLoader(dataset, self._sampler(dataset), **self._options())
