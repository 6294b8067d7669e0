"""Images and objects are scaled, placed and flipped together."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.ops import masks_to_boxes

from mimbench.data.annotated import Objects
from mimbench.evaluation.detection.jitter import Example, fitted, jittered, plain

IMAGE = torch.randint(0, 256, (3, 40, 80), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def make_objects(*boxes: tuple[int, int, int, int], crowd: int | None = None) -> Objects:
    masks = torch.zeros(len(boxes), 40, 80, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    flags = torch.tensor([i == crowd for i in range(len(boxes))], dtype=torch.bool)
    corners = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    return Objects(corners, torch.arange(len(boxes)), masks, flags)


OBJECTS = make_objects((8, 8, 24, 24), (60, 10, 80, 40))


def jitter(draws: list[float], objects: Objects = OBJECTS, low: float = 0.1, high: float = 2.0) -> Example:
    return jittered(IMAGE, objects, 64, np.array(draws), (low, high), flip=True)


def check_boxes_fit_masks(example: Example, slack: float = 1.01) -> None:
    tight = masks_to_boxes(example.target["masks"]) + torch.tensor([0, 0, 1, 1])
    assert ((tight - example.target["boxes"]).abs() <= slack).all()


def test_plain_fits_the_square_and_keeps_the_aspect_ratio() -> None:
    example = plain(IMAGE, OBJECTS, 64)
    assert example.size == (32, 64)
    assert example.image.shape == (3, 64, 64)
    assert example.image[:, 32:].eq(0).all()
    assert not example.image[:, :32].eq(0).any()
    assert torch.equal(example.target["boxes"], OBJECTS.boxes * 0.8)
    assert example.target["labels"].tolist() == [1, 2], "0 is the background"
    check_boxes_fit_masks(example)


@pytest.mark.parametrize("seed", range(8))
def test_boxes_and_masks_stay_together_inside_the_image(seed: int) -> None:
    example = jitter(np.random.default_rng(seed).random(4).tolist())
    height, width = example.size
    boxes = example.target["boxes"]
    assert (boxes >= 0).all()
    assert (boxes[:, 2] <= width).all()
    assert (boxes[:, 3] <= height).all()
    assert example.target["masks"].shape[1:] == (height, width)
    if len(boxes):
        check_boxes_fit_masks(example)


def test_small_scales_pad_and_large_ones_cut() -> None:
    small, large = jitter([0.0, 0.5, 0.5, 0.9]), jitter([0.999, 0.0, 0.999, 0.9])
    assert small.size == fitted(40, 80, 64, 0.1) == (3, 6)
    assert large.size == (64, 64)
    assert large.target["labels"].tolist() == [2], "the first object was cut away, at the left"


def test_mirroring_moves_pixels_masks_and_boxes() -> None:
    straight, flipped = jitter([0.4, 0, 0, 0.9]), jitter([0.4, 0, 0, 0.1])
    width = straight.size[1]
    assert torch.equal(straight.image[:, :, :width].flip(-1), flipped.image[:, :, :width])
    assert torch.equal(straight.target["masks"].flip(-1), flipped.target["masks"])
    left, right = straight.target["boxes"], flipped.target["boxes"]
    assert torch.equal(right[:, 0], width - left[:, 2])
    assert torch.equal(right[:, 1], left[:, 1])
    assert not torch.equal(left, right)


def test_crowds_are_left_out_of_training() -> None:
    example = plain(IMAGE, make_objects((8, 8, 24, 24), (60, 10, 80, 40), crowd=0), 64)
    assert example.target["labels"].tolist() == [2]


def test_a_image_without_objects_has_empty_targets() -> None:
    target = plain(IMAGE, make_objects(), 64).target
    shapes = {name: tuple(value.shape) for name, value in target.items()}
    assert shapes == {"boxes": (0, 4), "labels": (0,), "masks": (0, 32, 64)}


def test_the_same_draws_give_the_same_example() -> None:
    def values(example: Example) -> list[Tensor]:
        return [example.image, *example.target.values()]

    one, same, other = (jitter(draws) for draws in ([0.3] * 4, [0.3] * 4, [0.7] * 4))
    assert all(map(torch.equal, values(one), values(same)))
    assert not torch.equal(one.image, other.image)
