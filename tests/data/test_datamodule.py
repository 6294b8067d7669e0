"""The datamodule every method shares."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mimbench.data import Batch, Digits, ImageDataModule, Shapes


def small(**options: Any) -> ImageDataModule:
    return ImageDataModule(Shapes(16, num_train=50, num_val=20, num_test=30), **{"batch_size": 8, **options})


def attached(world_size: int, accumulate: int, **options: Any) -> ImageDataModule:
    module = small(**options)
    trainer: Any = SimpleNamespace(global_rank=1, world_size=world_size, accumulate_grad_batches=accumulate)
    module.trainer = trainer
    return module


def test_a_batch_is_normalized_and_knows_where_it_came_from() -> None:
    module = small()
    batch = next(iter(module.train_dataloader()))
    assert isinstance(batch, Batch)
    assert batch.images.shape == (8, 3, 16, 16)
    assert batch.images.dtype == torch.float32
    assert batch.images.abs().max() < 3  # (1 - 0.406) / 0.225 = 2.64 is the largest possible value
    assert torch.equal(batch.labels, module.split("train").labels[batch.index])


def test_counts_follow_the_source() -> None:
    module = small()
    assert (module.num_train, module.num_classes, module.steps_per_epoch) == (50, 8, 6)
    assert len(module.train_dataloader()) == 6
    assert module.classes[0] == "circle"


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_plain_loader_is_in_order_and_drops_nothing(split: Any) -> None:
    module = small(eval_batch_size=7)
    batches = list(module.plain(split))
    index = torch.cat([batch.index for batch in batches])
    assert torch.equal(index, torch.arange(len(module.split(split))))
    assert torch.equal(torch.cat([batch.labels for batch in batches]), module.split(split).labels)
    again = torch.cat([batch.images for batch in small(eval_batch_size=50).plain(split)])
    assert torch.equal(torch.cat([batch.images for batch in batches]), again)


def test_validation_reads_the_validation_split() -> None:
    module = small()
    assert torch.equal(next(iter(module.val_dataloader())).images, next(iter(module.plain("val"))).images)
    assert sum(len(batch.images) for batch in module.val_dataloader()) == 20


def test_another_image_size_rescales() -> None:
    module = small(image_size=24)
    assert next(iter(module.train_dataloader())).images.shape[-2:] == (24, 24)
    assert next(iter(module.plain("test"))).images.shape[-2:] == (24, 24)


def test_the_sources_own_augmentation_is_the_default_and_can_be_overridden() -> None:
    digits = ImageDataModule(Digits())
    assert (digits.flip, digits.crop_scale) == (False, (0.6, 1.0))
    assert (small().flip, small().crop_scale) == (True, (0.2, 1.0))
    other = small(flip=False, crop_scale=[1.0, 1.0])
    assert (other.flip, other.crop_scale) == (False, (1.0, 1.0))


def test_flip_and_crop_scale_change_the_training_images() -> None:
    def images(**options: Any) -> torch.Tensor:
        return next(iter(small(**options).train_dataloader())).images

    default = images()
    assert not torch.equal(images(flip=False), default)
    assert not torch.equal(images(crop_scale=(0.5, 0.6)), default)
    assert not torch.equal(images(seed=1), default)


def test_the_micro_batch_follows_devices_and_accumulation() -> None:
    module = attached(world_size=2, accumulate=2)
    assert len(module.train_dataloader()) == 12
    assert len(next(iter(module.train_dataloader())).images) == 2


def test_a_batch_that_devices_cannot_share_is_refused_in_setup() -> None:
    with pytest.raises(ValueError, match="multiple of 3"):
        attached(world_size=3, accumulate=1).setup("fit")


def test_a_batch_larger_than_the_training_set_is_refused_in_setup() -> None:
    with pytest.raises(ValueError, match="larger than the training set of 50"):
        small(batch_size=51).setup("fit")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop_scale": (0.0, 1.0)}, "crop_scale"),
        ({"crop_scale": (0.8, 0.2)}, "crop_scale"),
        ({"image_size": 0}, "image_size is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_impossible_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)
