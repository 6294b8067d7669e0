"""Shapes over each other, and what of them is annotated."""

import numpy as np
import pytest
import torch

from mimbench.data.synthetic.occlusion import MIN_PIXELS, Layers, covers, visible

DRAW = np.array([[0.0, 0.5, 0.5, 0.0]])  # the smallest size, in the middle, not rotated


def test_later_masks_cover_earlier_ones() -> None:
    masks = torch.zeros(2, 2, 3, dtype=torch.bool)
    masks[0, 0], masks[1, :, 1] = True, True
    assert visible(masks).int().tolist() == [[[1, 0, 1], [0, 0, 0]], [[0, 1, 0], [0, 1, 0]]]


def test_a_circle_covers_its_area_about_its_center() -> None:
    (cover,) = covers(["circle"], DRAW, (0.25, 0.4), 64)
    assert cover.sum() == pytest.approx(np.pi * (0.9 * 0.25 * 64) ** 2, rel=0.01)
    rows, columns = np.indices(cover.shape) + 0.5
    assert (rows * cover).sum() / cover.sum() == pytest.approx(32)
    assert (columns * cover).sum() / cover.sum() == pytest.approx(32)


def test_draws_place_turn_and_scale_a_shape() -> None:
    bar, turned, moved = covers(
        ["bar"] * 3, DRAW + np.array([[0, 0, 0, 0], [0, 0, 0, 0.25], [0, 0.25, 0, 0]]), (0.2, 0.4), 64
    )
    assert np.abs(turned - bar.T).max() < 1e-9
    assert np.abs(moved[:, 16:] - bar[:, :-16]).max() < 1e-9
    (large,) = covers(["bar"], DRAW + np.eye(4)[:1], (0.2, 0.4), 64)
    assert large.sum() == pytest.approx(4 * bar.sum(), rel=0.02)


def test_what_lies_in_front_takes_the_pixels_and_slivers_are_no_objects() -> None:
    back, front, dot = np.zeros((3, 8, 8))
    back[:4], front[2:, :4], dot[7, 7] = 1, 0.5, 1
    layers = Layers(np.stack([back, front, dot]), np.array([5, 2, 1]))
    classes, found = layers.classes(background=7), layers.objects()
    assert classes[0].tolist() == [5] * 8
    assert classes[3].tolist() == [2] * 4 + [5] * 4
    assert classes[7].tolist() == [2] * 4 + [7] * 3 + [1]
    assert dot.sum() < MIN_PIXELS
    assert found.labels.tolist() == [5, 2]
    assert found.boxes.tolist() == [[0, 0, 8, 4], [0, 2, 4, 8]]
    assert torch.equal(found.masks[0], classes == 5)
