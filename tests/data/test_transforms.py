"""Augmentation and evaluation transform against torchvision's."""

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms.v2 import functional as F

from mimbench.core import IMAGENET_MEAN, IMAGENET_STD
from mimbench.core.counter_rng import uniforms
from mimbench.data.source import Samples
from mimbench.data.transforms import (
    NUM_DRAWS,
    Crops,
    EvalTransform,
    TrainTransform,
    draw_crops,
    normalize,
    resample,
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def crops(boxes: list[list[int]], flip: list[bool]) -> Crops:
    return Crops(*np.array(boxes, np.int64).T, np.array(flip))


def drawn(num: int, height: int, width: int, scale: tuple[float, float], flip: bool = True) -> Crops:
    draws = uniforms(NUM_DRAWS, np.arange(num), 0)
    return draw_crops(draws, np.full(num, height), np.full(num, width), scale, flip)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (60, 90), (200, 40)])
def test_boxes_follow_the_distribution_of_torchvision(height: int, width: int) -> None:
    ours = drawn(20_000, height, width, (0.2, 1.0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        image = torch.empty(1, height, width)
        theirs = np.array([RandomResizedCrop.get_params(image, [0.2, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)])
    for values, expected in zip(statistics(*ours[:4]), statistics(*theirs.T), strict=True):
        error = np.sqrt(values.var() / len(values) + expected.var() / len(expected))
        assert abs(values.mean() - expected.mean()) < 4 * error + 1e-9
        # Quartiles of 4,000 draws: within 4 % of the whole range.
        quartiles = [np.quantile(x, [0.25, 0.5, 0.75]) for x in (values, expected)]
        np.testing.assert_allclose(*quartiles, atol=0.04 * (np.ptp(expected) + 1e-9))


def statistics(top: np.ndarray, left: np.ndarray, height: np.ndarray, width: np.ndarray) -> list[np.ndarray]:
    return [height * width / 1.0, np.log(width / height), top + height / 2, left + width / 2]


def test_a_box_never_leaves_the_image() -> None:
    top, left, height, width, _ = drawn(5000, 9, 30, (0.05, 1.0))
    assert min(top.min(), left.min()) == 0
    assert min(height.min(), width.min()) > 0
    assert (top + height).max() == 9
    assert (left + width).max() == 30


def test_half_of_the_images_are_mirrored_or_none() -> None:
    assert drawn(5000, 32, 32, (0.2, 1.0)).flip.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(5000))
    assert not drawn(5000, 32, 32, (0.2, 1.0), flip=False).flip.any()


def test_the_whole_image_comes_back_unchanged() -> None:
    images = noise(3, 3, 16, 16).float()
    whole = resample(images, crops([[0, 0, 16, 16]] * 3, [False, True, False]), 16)
    assert torch.equal(whole[0], images[0])
    assert torch.equal(whole[1], images[1].flip(-1))


@pytest.mark.parametrize("size", [8, 24, 32, 48])
def test_resampling_equals_torchvision(size: int) -> None:
    images = noise(4, 3, 40, 32)
    boxes = [[0, 0, 40, 32], [3, 5, 20, 17], [30, 2, 10, 30], [11, 29, 1, 3]]
    ours = resample(images.float(), crops(boxes, [False, True, False, False]), size)
    for image, box, result, flip in zip(images, boxes, ours, [False, True, False, False], strict=True):
        theirs = F.resized_crop(image.float(), *box, [size, size], InterpolationMode.BICUBIC, antialias=True)
        expected = (theirs.flip(-1) if flip else theirs).clamp(0, 255)
        torch.testing.assert_close(result, expected, atol=1e-3, rtol=0)  # fp32 sums of numbers up to 255


def test_one_by_one_equals_the_batch() -> None:
    images, index = noise(6, 3, 32, 32) // 2 + 64, np.arange(6) + 100  # far from 0 and 255, where 8 bits overflow
    transform = TrainTransform(24, (0.2, 1.0), flip=True, seed=3)
    labels = torch.zeros(6, dtype=torch.long)
    together = transform(Samples(images, labels), index, 5)
    apart = transform(Samples(list(images), labels), index, 5)
    # Files are rounded to 8 bits after either pass: half a level each, the first enlarged by the second's weights.
    assert (together - apart).abs().max() < 1.6 / 255 / min(IMAGENET_STD)


def test_augmentation_depends_on_seed_epoch_and_sample_only() -> None:
    images, labels = noise(1, 3, 32, 32).expand(8, -1, -1, -1), torch.zeros(8, dtype=torch.long)

    def augmented(seed: int, epoch: int, index: list[int]) -> torch.Tensor:
        transform = TrainTransform(32, (0.2, 1.0), flip=True, seed=seed)
        return transform(Samples(images[: len(index)], labels[: len(index)]), np.array(index), epoch)

    all_eight = augmented(0, 0, list(range(8)))
    assert len({tuple(x.flatten().tolist()) for x in all_eight}) == 8
    torch.testing.assert_close(augmented(0, 0, [6, 2]), all_eight[[6, 2]])
    assert not torch.allclose(augmented(1, 0, [6, 2]), all_eight[[6, 2]])
    assert not torch.allclose(augmented(0, 1, [6, 2]), all_eight[[6, 2]])


def test_normalization_is_imagenets() -> None:
    theirs = F.normalize(noise(2, 3, 4, 4).float() / 255, list(IMAGENET_MEAN), list(IMAGENET_STD))
    torch.testing.assert_close(normalize(noise(2, 3, 4, 4).float()), theirs)


def test_evaluation_leaves_a_image_of_the_right_size_alone_and_the_source_untouched() -> None:
    images = noise(2, 3, 16, 16)
    kept = images.clone()
    result = EvalTransform(16)(Samples(images, torch.zeros(2, dtype=torch.long)))
    assert torch.equal(result, normalize(kept.float()))
    assert torch.equal(images, kept)


def test_evaluation_of_photographs_takes_the_center() -> None:
    image = torch.zeros(3, 100, 200, dtype=torch.uint8)
    image[:, :, 50:150] = 255  # the shorter side's square around the center
    result = EvalTransform(28)(Samples([image, noise(3, 30, 20)], torch.zeros(2, dtype=torch.long)))
    assert result.shape == (2, 3, 28, 28)
    assert torch.equal(result[0], normalize(torch.full((1, 3, 28, 28), 255.0))[0])
