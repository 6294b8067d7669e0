"""Crops of photographs."""

from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from mimbench.data import Photos

SMALL = ("brick", "cat", "coins", "text")


def test_crops_stay_in_the_regions_of_their_split() -> None:
    photos = Photos(photographs=SMALL)
    # Paint the regions of the three splits in three textures; every crop must then show its own split's texture only.
    textures = {"train": 2, "val": 4, "test": 8}
    for label, image in enumerate(photos.photographs.gray):
        for name, period in textures.items():
            for top, left, bottom, right in photos.photographs.tiles(label, name):
                image[top:bottom, left:right] = np.where(np.arange(left, right) // (period // 2) % 2, 255, 0)
    for name, period in textures.items():
        rows = photos.split(name).images[:, 0].float()
        assert torch.equal(rows[:, :, period:], rows[:, :, :-period])
        assert (rows[:, :, period // 2 :] != rows[:, :, : -(period // 2)]).all()


def test_brightness_contrast_and_color_do_not_give_the_class_away() -> None:
    split = Photos(num_train=320).split("train")
    assert torch.equal(split.images[:, 0], split.images[:, 1])
    assert torch.equal(split.images[:, 0], split.images[:, 2])
    values = split.images[:, 0].float().flatten(1)
    unclipped = values[(values.min(1).values > 0) & (values.max(1).values < 255)]
    assert len(unclipped) > len(values) / 2
    assert (unclipped.mean(1) - 128).abs().max() < 0.5  # rounding to 8 bits
    assert (unclipped.std(1) - 40).abs().max() < 1


def test_raw_pixels_are_above_chance_and_far_from_enough() -> None:
    train, test = (Photos(num_train=1600, num_test=800).split(name) for name in ("train", "test"))
    knn = KNeighborsClassifier(20).fit(train.images[:, 0].flatten(1).float().numpy(), train.labels.numpy())
    accuracy = knn.score(test.images[:, 0].flatten(1).float().numpy(), test.labels.numpy())
    assert 1.5 / 16 < accuracy < 0.5


def test_the_same_seed_gives_the_same_crops_and_splits_differ() -> None:
    sets = [Photos(photographs=SMALL, seed=seed).split("val").images for seed in (0, 0, 1)]
    assert torch.equal(sets[0], sets[1])
    assert not torch.equal(sets[0], sets[2])
    photos = Photos(photographs=SMALL, num_train=100, num_val=100, num_test=100)
    for first, second in combinations(("train", "val", "test"), 2):
        assert not torch.equal(photos.split(first).images, photos.split(second).images)


def test_sizes_and_lengths_are_arguments_and_classes_are_balanced() -> None:
    photos = Photos(image_size=48, num_train=40, num_val=8, num_test=12, photographs=SMALL)
    train, val, test = (photos.split(name) for name in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (40, 8, 12)
    assert train.images.shape[1:] == (3, 48, 48)
    assert torch.bincount(train.labels).tolist() == [10] * 4


def test_unknown_photographs_and_too_few_crops_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\['lenna'\]; choose from astronaut"):
        Photos(photographs=("lenna",))
    with pytest.raises(ValueError, match="num_val is 3"):
        Photos(num_val=3)
