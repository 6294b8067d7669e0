"""Collages of photographs and their annotations."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from mimbench.data import Collages, ImageDataModule
from mimbench.data.source import SplitName
from mimbench.data.synthetic.collages import CollagesSplit
from mimbench.data.synthetic.occlusion import MIN_PIXELS

SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
SMALL = ("brick", "coins", "grass", "text")


def collages(size: int = 64, **changes: Any) -> Collages:
    return Collages(**{"image_size": size, "num_train": 60, "num_val": 4, "num_test": 4, **changes})


@pytest.fixture(scope="module")
def split() -> CollagesSplit:
    return collages().split("train")


def test_a_image_and_its_annotation_depend_on_seed_split_and_place_alone(split: CollagesSplit) -> None:
    again = collages(num_train=30).split("train")
    assert torch.equal(again.take([7, 3]).images[1], split[3][0])
    assert torch.equal(again.classes(3), split.classes(3))
    assert torch.equal(again.objects(3).boxes, split.objects(3).boxes)
    for other in (collages(seed=1).split("train"), collages().split("val")):
        assert not torch.equal(other[3][0], split[3][0])
        assert not torch.equal(other.classes(3), split.classes(3))


def test_splits_share_no_pixel_of_a_photograph() -> None:
    source = collages(photographs=SMALL)
    for first, second in combinations(SPLITS, 2):
        for label in range(len(SMALL)):
            for a in source.photographs.tiles(label, first):
                for b in source.photographs.tiles(label, second):
                    assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


@pytest.mark.parametrize(("name", "period"), [("train", 2), ("val", 4), ("test", 8)])
def test_images_stay_in_the_regions_of_their_split(name: SplitName, period: int) -> None:
    source = collages(photographs=SMALL, max_objects=1, num_val=20, num_test=20)
    # Columns of the split's own regions lie `period` apart in every photograph, all else is one gray.
    for label, image in enumerate(source.photographs.gray):
        image[:] = 0
        for top, left, bottom, right in source.photographs.tiles(label, name):
            image[top:bottom, left:right] = np.where(np.arange(left, right) // (period // 2) % 2, 255, 0)
    split = source.split(name)
    for i in (i for i in range(20) if len(split.classes(i).unique()) == 1):
        row = split.image(i)[0].float()
        assert torch.equal(row[:, period:], row[:, :-period])
        assert (row[:, period // 2 :] != row[:, : -(period // 2)]).all()


def test_classes_agree_with_objects_and_the_background_is_a_photograph_too(split: CollagesSplit) -> None:
    for i in range(20):
        classes, found = split.classes(i), split.objects(i)
        for label, mask in zip(found.labels.tolist(), found.masks, strict=True):
            assert (classes[mask] == label).all()
        rest = classes[~found.masks.any(0)]
        background = rest.mode().values
        assert background not in found.labels
        # What is left out of the objects is too small to be one.
        assert (rest != background).sum() < 3 * MIN_PIXELS
    assert split.class_names == split.object_names == collages().classes


def test_no_photograph_is_in_a_image_twice_and_all_are_somewhere(split: CollagesSplit) -> None:
    found = [split.objects(i).labels for i in range(len(split))]
    assert all(len(labels.unique()) == len(labels) for labels in found)
    assert torch.cat(found).unique().tolist() == list(range(8))
    backgrounds = torch.stack([split.classes(i).flatten().mode().values for i in range(len(split))])
    assert backgrounds.unique().tolist() == list(range(8))


def test_numbers_of_objects_vary_from_none_to_the_most(split: CollagesSplit) -> None:
    counts = [len(split.objects(i)) for i in range(len(split))]
    assert (min(counts), max(counts)) == (0, 3)


def test_boxes_are_the_tight_boxes_of_masks_and_masks_do_not_overlap(split: CollagesSplit) -> None:
    for i in range(20):
        found = split.objects(i)
        assert (found.masks.sum(0) <= 1).all()
        for (left, top, right, bottom), mask in zip(found.boxes.long().tolist(), found.masks, strict=True):
            assert mask.sum() >= MIN_PIXELS
            assert mask[top:bottom, left:right].sum() == mask.sum()
            for edge in (mask[top], mask[bottom - 1], mask[:, left], mask[:, right - 1]):
                assert edge.any()


def test_a_pixel_shows_the_photograph_of_its_class() -> None:
    source = collages(photographs=SMALL, max_objects=1)
    for label, image in enumerate(source.photographs.gray):  # "coins" gets stripes, the others noise
        noise = np.random.default_rng(label).normal(size=image.shape)
        image[:] = np.indices(image.shape)[1] % 2 if label == 1 else noise
    split = source.split("train")
    images = torch.stack([split.image(i)[0] for i in range(60)]).float()
    striped = torch.stack([split.classes(i) for i in range(60)]) == 1
    repeats = (images[..., 2:] - images[..., :-2]).abs() < 1
    inside = striped[..., 2:] & striped[..., 1:-1] & striped[..., :-2]
    outside = ~(striped[..., 2:] | striped[..., 1:-1] | striped[..., :-2])
    assert repeats[inside].float().mean() > 0.95  # all but the soft edges
    assert repeats[outside].float().mean() < 0.05


def test_brightness_contrast_and_color_do_not_give_the_class_away(split: CollagesSplit) -> None:
    whole, parts = [], []
    for i in range(len(split)):
        image, covers = split.image(i), split.layers(i).covers
        assert torch.equal(image[0], image[1])
        assert torch.equal(image[0], image[2])
        values = image[0].float()
        if not len(covers):
            whole.append(values)
        elif (inside := torch.from_numpy(covers[-1] == 1)).sum() > 100:
            parts.append(values[inside])
    # Without soft edges, and without those of which something is cut off.
    for regions, tolerance in ((whole, 0.5), (parts, 8)):
        unclipped = [region for region in regions if region.min() > 0 and region.max() < 255]
        assert len(unclipped) > len(regions) / 3 > 3
        assert max(abs(float(region.mean()) - 128) for region in unclipped) < tolerance
        assert max(abs(float(region.std()) - 40) for region in unclipped) < tolerance


def test_an_image_datamodule_loads_collages_and_resumes() -> None:
    data = ImageDataModule(collages(32, num_train=8), batch_size=4)
    batches = list(data.train_dataloader())
    assert batches[0].images.shape == (4, 3, 32, 32)
    assert (batches[0].labels == -1).all()
    loader = ImageDataModule(collages(32, num_train=8), batch_size=4).train_dataloader()
    loader.load_state_dict({"epoch": 0, "batch": 1})
    assert torch.equal(next(iter(loader)).images, batches[1].images)


def test_photographs_too_small_for_the_size_are_refused_with_the_split() -> None:
    with pytest.raises(ValueError, match=r"cat \(451 x 300\) is too small.*leave it out of photographs"):
        collages(160).split("train")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"image_size": 16}, "image_size is 16"),
        ({"max_objects": 0}, "max_objects is 0"),
        ({"max_objects": 4, "photographs": SMALL}, "max_objects is 4.*below the 4 photographs"),
        ({"num_val": 0}, "num_val is 0"),
        ({"radii": (0.4, 0.2)}, "radii is 0.4, 0.2"),
        ({"photographs": ("brick", "lenna")}, r"\['lenna'\]; choose from astronaut"),
    ],
)
def test_collages_that_cannot_be_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        collages(**{"max_objects": 1, **wrong})
