"""Procedural shapes."""

import pytest
import torch

from mimbench.data import Shapes


def test_a_image_is_a_function_of_seed_split_and_number() -> None:
    split = Shapes(16).split("train")
    together = split.take([5, 900, 31])
    assert torch.equal(together.images[1], Shapes(16).split("train")[900][0])
    assert not torch.equal(together.images[1], Shapes(16, seed=1).split("train")[900][0])
    assert not torch.equal(together.images[1], Shapes(16).split("test")[900][0])


def test_a_longer_dataset_begins_like_a_shorter_one() -> None:
    long, short = (Shapes(16, num_train=n).split("train") for n in (1_000_000, 100))
    assert len(long) == 1_000_000
    assert torch.equal(long[99][0], short[99][0])


def test_labels_are_balanced_and_name_what_is_drawn() -> None:
    source = Shapes(num_train=80)
    split = source.split("train")
    assert torch.bincount(split.labels).tolist() == [10] * 8
    assert split.take([3, 12]).labels.tolist() == [split[3][1], split[12][1]] == [3, 4]


@pytest.mark.parametrize("size", [8, 32, 96])
def test_shapes_cover_part_of_a_image_of_any_size(size: int) -> None:
    images = Shapes(size).split("train").take(range(16)).images
    assert images.shape == (16, 3, size, size)
    assert images.float().flatten(1).std(1).min() > 8  # neither empty nor full: two colors and a gradient


def test_images_of_one_class_are_more_alike_in_shape_than_in_color() -> None:
    colors = Shapes(16).split("train").take(range(0, 80, 8)).images.float().mean((2, 3))
    assert colors.std(0).min() > 10


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="below 8 px"):
        Shapes(4)
    with pytest.raises(ValueError, match="num_test is 2"):
        Shapes(num_test=2)
