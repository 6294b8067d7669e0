"""Figures of reconstructions."""

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torchvision.transforms.v2.functional import pil_to_tensor

from mimbench.core import denormalize
from mimbench.data.transforms import normalize
from mimbench.targets import HOGTarget
from mimbench.training import Reconstructions

Make = Callable[..., Any]


def test_the_figure_of_pixel_targets_has_rows_for_image_visible_part_and_prediction(new_run: Make) -> None:
    run = new_run()
    run.train([Reconstructions(every_n_epochs=1, num_images=4)])
    image = pil_to_tensor(Image.open(run.directory / "figures" / "reconstructions.png"))
    assert image.shape == (3, 3 * 98 + 2, 4 * 98 + 2)  # images of 32 px are enlarged three times


def test_the_first_row_shows_the_validation_images(new_run: Make, data: Make) -> None:
    run = new_run()
    run.train([Reconstructions(num_images=4)])
    image = pil_to_tensor(Image.open(run.directory / "figures" / "reconstructions.png"))
    shown = image[:, 2:98:3, 2:98:3].float()
    expected = denormalize(next(iter(data().plain("val"))).images[:1])[0].clamp(0, 1) * 255
    torch.testing.assert_close(shown, expected, atol=0.51, rtol=0)  # rounded to 8 bits


def test_other_targets_have_no_figure(new_run: Make, method: Make) -> None:
    run = new_run()
    run.train([Reconstructions(every_n_epochs=1)], method=method(HOGTarget))
    assert not (run.directory / "figures").exists()


def test_drawing_the_figure_does_not_change_training(new_run: Make) -> None:
    plain, drawn = new_run("plain"), new_run("drawn")
    plain.train()
    drawn.train([Reconstructions(every_n_epochs=1)])
    assert drawn.same(plain)


def test_denormalize_inverts_the_normalization_of_the_data() -> None:
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(denormalize(normalize(images * 255)), images, atol=1e-6, rtol=0)
