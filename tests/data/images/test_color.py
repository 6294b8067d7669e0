"""Color changes follow their draws, and none of them is none."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as F

from mimbench.data import ImageDataModule, Shapes
from mimbench.data.images.color import jitter


@pytest.fixture
def images() -> torch.Tensor:
    return 255 * torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_middle_of_the_draws_changes_nothing(images: torch.Tensor) -> None:
    torch.testing.assert_close(jitter(images, np.full((2, 3), 0.5), 0.4), images, rtol=0, atol=1e-3)


def test_factors_are_torchvisions(images: torch.Tensor) -> None:
    draws = np.array([[0.9, 0.2, 0.7], [0.1, 0.8, 0.0]])
    for image, (b, c, s), found in zip(images, 1 + 0.4 * (2 * draws - 1), jitter(images, draws, 0.4), strict=True):
        expected = F.adjust_saturation(F.adjust_contrast(F.adjust_brightness(image / 255, b), c), s)
        torch.testing.assert_close(found / 255, expected, rtol=0, atol=1e-4)


def test_color_is_a_function_of_seed_epoch_and_image() -> None:
    def batch(seed: int, **options: float) -> torch.Tensor:
        data = ImageDataModule(Shapes(num_train=8, num_val=8, num_test=8), batch_size=8, seed=seed, **options)
        picked = next(iter(data.train_dataloader()))
        return picked.images[picked.index.argsort()]

    assert torch.equal(batch(0, color_jitter=0.4), batch(0, color_jitter=0.4))
    assert not torch.equal(batch(0, color_jitter=0.4), batch(0))


def test_ranges_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"crop_ratio is 1.0, 0.5"):
        ImageDataModule(Shapes(), crop_ratio=(1.0, 0.5))
    with pytest.raises(ValueError, match=r"color_jitter 2"):
        ImageDataModule(Shapes(), color_jitter=2.0)
