"""The data module on which all methods are trained and evaluated."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader

from mimbench.data.in_memory import decoded
from mimbench.data.loader import Batch, PlainSet, RawBatch, TrainLoader, TrainSet
from mimbench.data.sampler import EpochSampler
from mimbench.data.source import Source, Split, SplitName
from mimbench.data.transforms import EvalTransform, TrainTransform
from mimbench.data.workers import SteadyLoader, machine_workers


class ImageDataModule(LightningDataModule):
    """Loads a source; augmentation and order depend only on (seed, epoch, sample), not on devices or workers.

    Args:
        image_size: Side of the returned images in pixels; by default that of the source.
        batch_size: Effective batch: images per optimizer step over all devices and accumulated batches.
        eval_batch_size: Images per batch of `val_dataloader` and `plain`.
        seed: Determines order and augmentation; splits are determined by the source.
        crop_scale: Range of the relative area of training crops; by default that of the source.
        flip: Whether training flips images horizontally at random; by default as the source defines.
        crop_ratio: Range of the aspect ratio (width / height) of training crops.
        color_jitter: Largest change of brightness, contrast and saturation in training, from 0 to 1.
        num_workers: Loader processes; None is one per core of this machine but one, at most 10.
        keep_decoded: Whether decoded images of a split stay in memory, with three bytes per pixel.
    """

    def __init__(
        self,
        source: Source,
        image_size: int | None = None,
        batch_size: int = 256,
        eval_batch_size: int = 256,
        num_workers: int | None = 0,
        seed: int = 0,
        crop_scale: Sequence[float] | None = None,
        flip: bool | None = None,
        crop_ratio: Sequence[float] = (3 / 4, 4 / 3),
        color_jitter: float = 0.0,
        keep_decoded: bool = False,
    ) -> None:
        super().__init__()
        self.source = source
        self.image_size = source.image_size if image_size is None else image_size
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.num_workers = machine_workers() if num_workers is None else num_workers
        self.seed, self.keep_decoded = seed, keep_decoded
        low, high = source.crop_scale if crop_scale is None else crop_scale
        self.crop_scale, self.flip = (low, high), source.flip if flip is None else flip
        (narrow, wide), self.color_jitter = crop_ratio, color_jitter
        self.crop_ratio = (narrow, wide)
        self._splits: dict[SplitName, Split] = {}
        if not 0 < low <= high <= 1:
            raise ValueError(f"crop_scale is {low}, {high}; it must be a range of areas within (0, 1].")
        if not 0 < narrow <= wide or not 0 <= color_jitter <= 1:
            raise ValueError(
                f"crop_ratio is {narrow}, {wide} and color_jitter {color_jitter}; the first must be a range above 0, "
                "the second within [0, 1]."
            )
        for name, least in (("image_size", 1), ("batch_size", 1), ("eval_batch_size", 1), ("num_workers", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ValueError(f"{name} is {value!r}; it must be a whole number of at least {least}.")

    @property
    def classes(self) -> tuple[str, ...]:
        return self.source.classes

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def num_train(self) -> int:
        return len(self.split("train"))

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch; the last, smaller batch is dropped."""
        return self.num_train // self.batch_size

    def split(self, name: SplitName) -> Split:
        """8-bit images and labels of a split, which is read once."""
        if name not in self._splits:
            split = self.source.split(name)
            self._splits[name] = decoded(split) if self.keep_decoded else split
        return self._splits[name]

    def prepare_data(self) -> None:
        self.source.prepare()

    def setup(self, stage: str | None = None) -> None:
        """Raises ValueError before training if data or batch size are invalid."""
        if stage in (None, "fit"):
            self._sampler(self._augmented())
            self.split("val")

    def _augmented(self) -> TrainSet:
        options = self.crop_scale, self.flip, self.seed, self.crop_ratio, self.color_jitter
        # Only a trainer calls `on_after_batch_transfer`, which normalizes raw batches on the device.
        split = self.split("train").for_training()
        return TrainSet(split, TrainTransform(self.image_size, *options), raw=self.trainer is not None)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Normalizes raw batches on the device, in the precision of the training."""
        if not isinstance(batch, RawBatch) or self.trainer is None:
            return batch
        normalized = batch.normalized()
        # Lightning has left the integers alone.
        return normalized._replace(images=self.trainer.precision_plugin.convert_input(normalized.images))

    def _sampler(self, dataset: TrainSet) -> EpochSampler:
        trainer, order = self.trainer, dataset.split.order
        if trainer is None:
            return EpochSampler(dataset, self.batch_size, self.seed, order=order)
        share = trainer.global_rank, trainer.world_size, trainer.accumulate_grad_batches
        return EpochSampler(dataset, self.batch_size, self.seed, *share, order=order)

    def train_dataloader(self) -> TrainLoader:
        """The micro-batches of this rank. The loader resumes within an epoch from its `state_dict`."""
        dataset = self._augmented()
        return TrainLoader(dataset, self._sampler(dataset), **self._options())

    def val_dataloader(self) -> DataLoader[Batch]:
        """The complete validation split on each rank, so that the loss does not depend on the number of devices."""
        return self.plain("val")

    def plain(self, split: SplitName) -> DataLoader[Batch]:
        """A complete split in order with the evaluation transform."""
        return SteadyLoader(
            PlainSet(self.split(split), EvalTransform(self.image_size)),
            batch_size=self.eval_batch_size,
            collate_fn=_unchanged,
            **self._options(),
        )

    def _options(self) -> dict[str, Any]:
        return {
            "num_workers": self.num_workers,
            "persistent_workers": self.num_workers > 0,
            "pin_memory": torch.cuda.is_available(),
        }


def _unchanged(batch: Any) -> Batch:
    """Returns the batch, which PlainSet has already collated."""
    return batch
