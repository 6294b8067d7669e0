"""Scenes of drawn shapes and their annotations."""

from typing import Any

import pytest
import torch

from mimbench.data import ImageDataModule, Scenes, Shapes
from mimbench.data.annotated import annotated
from mimbench.data.synthetic.occlusion import MIN_PIXELS
from mimbench.data.synthetic.scenes import ScenesSplit


@pytest.fixture(scope="module")
def split() -> ScenesSplit:
    return Scenes(64, num_train=60, num_val=4, num_test=4).split("train")


def test_a_image_and_its_annotation_depend_on_seed_split_and_place_alone(split: ScenesSplit) -> None:
    again = Scenes(64, num_train=30, num_val=4, num_test=4).split("train")
    assert torch.equal(again.take([7, 3]).images[1], split[3][0])
    assert torch.equal(again.classes(3), split.classes(3))
    assert torch.equal(again.objects(3).boxes, split.objects(3).boxes)
    for other in (Scenes(64, seed=1).split("train"), Scenes(64).split("val")):
        assert not torch.equal(other[3][0], split[3][0])
        assert not torch.equal(other.classes(3), split.classes(3))


def test_shapes_have_the_sizes_that_are_asked_for() -> None:
    small, large = (
        torch.cat([scenes.objects(i).masks.flatten(1).sum(1) for i in range(len(scenes))]).double()
        for radii in ((0.15, 0.15), (0.3, 0.3))
        for scenes in [Scenes(64, 200, 4, 4, max_objects=1, radii=radii).split("train")]
    )
    assert small.max() < (2 * 0.15 * 64) ** 2  # within the square about its circle
    assert 3 < large.mean() / small.mean() < 4.5  # twice the radius, but for what the edge cuts off


def test_numbers_of_objects_vary_from_none_to_the_most(split: ScenesSplit) -> None:
    counts = [len(split.objects(i)) for i in range(len(split))]
    assert min(counts) == 0
    assert max(counts) == 5
    areas = torch.cat([split.objects(i).masks.flatten(1).sum(1) for i in range(len(split))])
    assert areas.min() < 40 < 800 < areas.max()


def test_boxes_are_the_tight_boxes_of_masks_and_masks_do_not_overlap(split: ScenesSplit) -> None:
    for i in range(20):
        found = split.objects(i)
        assert (found.masks.sum(0) <= 1).all()
        for (left, top, right, bottom), mask in zip(found.boxes.long().tolist(), found.masks, strict=True):
            assert mask.sum() >= MIN_PIXELS
            assert mask[top:bottom, left:right].sum() == mask.sum()
            for edge in (mask[top], mask[bottom - 1], mask[:, left], mask[:, right - 1]):
                assert edge.any()


def test_classes_agree_with_objects_and_the_rest_is_background(split: ScenesSplit) -> None:
    for i in range(20):
        classes, found = split.classes(i), split.objects(i)
        for label, mask in zip(found.labels.tolist(), found.masks, strict=True):
            assert (classes[mask] == label).all()
        # What is left out of the objects is too small to be one.
        assert ((classes < 8) & ~found.masks.any(0)).sum() < 5 * MIN_PIXELS
    assert split.class_names[8] == "background"
    assert split.object_names == split.class_names[:8]


def test_objects_can_be_seen(split: ScenesSplit) -> None:
    i = next(i for i in range(60) if len(split.objects(i)) == 1)
    image, mask = split.image(i).float(), split.objects(i).masks[0]
    inside, outside = image[:, mask].mean(1), image[:, ~mask].mean(1)
    assert (inside - outside).abs().max() > 20


def test_an_image_datamodule_loads_scenes() -> None:
    data = ImageDataModule(Scenes(32, 8, 4, 4), batch_size=4)
    batch = next(iter(data.train_dataloader()))
    assert batch.images.shape == (4, 3, 32, 32)
    assert (batch.labels == -1).all()


def test_images_without_annotation_are_refused_with_a_remedy() -> None:
    with pytest.raises(ValueError, match=r"a class per pixel.*data=scenes, collages or ade20k"):
        annotated(Shapes(32).split("train"), "classes", "train")
    with pytest.raises(ValueError, match=r"objects with outlines.*data=scenes, collages or coco"):
        annotated(Shapes(32).split("train"), "objects", "train")


@pytest.mark.parametrize("wrong", [{"image_size": 16}, {"max_objects": 0}, {"num_val": 0}, {"radii": (0.4, 0.2)}])
def test_scenes_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Scenes(**wrong)
