"""Corruptions: each against a plain version of its formula, and all of them against what must hold."""

import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import skimage.data
import torch
from skimage.color import rgb2hsv
from skimage.filters import gaussian as skimage_gaussian

from mimbench.data import ImageDataModule, MemorySplit, Source
from mimbench.data.corruptions import CORRUPTIONS, Corrupted, corrupt
from mimbench.data.corruptions.blur import defocus_blur, glass_blur
from mimbench.data.corruptions.digital import elastic_transform
from mimbench.data.corruptions.frost import PHOTOGRAPHS, photographs
from mimbench.data.corruptions.image_ops import gaussian, smeared, zoomed
from mimbench.data.corruptions.noise import impulse_noise
from mimbench.data.corruptions.severities import SEVERITIES, parameters, reference
from mimbench.data.corruptions.weather import fog, plasma
from mimbench.data.reload import reload
from mimbench.data.source import SplitName


def photograph(side: int = 32) -> np.ndarray:
    return np.asarray(PIL.Image.fromarray(skimage.data.astronaut()).resize((side, side)))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_corruption_changes_a_image_and_depends_on_its_arguments_alone(name: str):
    image = photograph()
    first = corrupt(image, name, 3, 0, 7)
    assert first.dtype == np.uint8
    assert first.shape == image.shape
    assert np.abs(first.astype(int) - image).mean() > 1
    np.testing.assert_array_equal(first, corrupt(image, name, 3, 0, 7))
    if name not in ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression"):
        assert (corrupt(image, name, 3, 0, 8) != first).any()
        assert (corrupt(image, name, 3, 1, 7) != first).any()


@pytest.mark.parametrize("side", [32, 96])
@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - {"glass_blur", "elastic_transform", "snow"}))
def test_severity_five_is_further_from_the_image_than_one(name: str, side: int):
    image = photograph(side)
    distance = [
        np.mean([np.abs(corrupt(image, name, s, 0, i).astype(int) - image).mean() for i in range(3)]) for s in (1, 5)
    ]
    assert distance[1] > distance[0]


def test_both_tables_have_five_severities_of_everything():
    for table in SEVERITIES.values():
        assert table.keys() == {*CORRUPTIONS, "frost"}
        assert {len(row) for row in table.values()} == {5}


def test_lengths_grow_with_the_image_and_shares_do_not():
    assert reference(32) == reference(84) == 32
    assert reference(96) == reference(384) == 224
    assert parameters("motion_blur", 1, 32) == (6, 1)
    assert parameters("motion_blur", 1, 64) == (12, 2)
    assert parameters("glass_blur", 4, 448) == (2.2, 6, 2)
    assert parameters("glass_blur", 1, 16) == (0.025, 1, 1)
    assert parameters("contrast", 5, 448) == (0.05,)


@pytest.mark.parametrize(
    ("side", "scale", "weights"), [(32, 0.2, (0.9, 0.4)), (64, 0.4, (0.9, 0.4)), (224, 1, (0.7, 0.7))]
)
def test_frost_adds_a_part_of_a_photograph(tmp_path: Path, side: int, scale: float, weights: tuple[float, float]):
    shade = np.arange(5)[:, None, None, None] * 10 + np.zeros((5, 300, 350, 3))
    for name, values in zip(PHOTOGRAPHS, shade.astype(np.uint8), strict=True):
        PIL.Image.fromarray(values).save(tmp_path / name, quality=100)
    image = photograph(side)
    seen = set()
    for index in range(20):
        found = corrupt(image, "frost", 3, 0, index, tmp_path)
        possible = [weights[0] * image + weights[1] * 10 * number for number in range(5)]
        matches = [number for number, p in enumerate(possible) if np.abs(p.clip(0, 255) - found).max() <= 1.5]
        assert len(matches) == 1
        seen |= set(matches)
    assert len(seen) > 2
    assert photographs(tmp_path, scale, side)[0].shape == (round(300 * scale), round(350 * scale), 3)
    with pytest.raises(ValueError, match="too few for images of 300 px"):
        photographs(tmp_path, 0.2, 300)


def test_noise_has_the_deviation_mean_and_share_it_should():
    gray = np.full((64, 64, 3), 0.5)
    noisy = CORRUPTIONS["gaussian_noise"](gray, rng(), 0.05) - gray
    assert noisy.std() == pytest.approx(0.05, rel=0.03)
    shot = CORRUPTIONS["shot_noise"](gray, rng(), 50)
    assert shot.mean() == pytest.approx(0.5, rel=0.01)
    assert shot.var() == pytest.approx(0.5 / 50, rel=0.05)  # Poisson: mean over the number of photons
    hit = impulse_noise(gray, rng(), 0.1)
    assert (hit != 0.5).mean() == pytest.approx(0.1, rel=0.1)
    assert (hit == 1).sum() == pytest.approx((hit == 0).sum(), rel=0.2)


def test_gaussian_blur_is_scikit_images():
    fraction = photograph() / 255
    np.testing.assert_allclose(gaussian(fraction, 1.3), skimage_gaussian(fraction, 1.3, channel_axis=2), atol=1e-12)


def test_defocus_keeps_brightness_and_spreads_a_point_over_a_disk():
    point = np.zeros((33, 33, 1))
    point[16, 16] = 1
    spread = defocus_blur(point, rng(), 6, 0.1)[..., 0]
    assert spread.sum() == pytest.approx(1)
    rows, columns = np.nonzero(spread > 1e-3)
    assert np.hypot(rows - 16, columns - 16).max() == pytest.approx(6, abs=0.5)
    assert spread.max() == pytest.approx(1 / (spread > 1e-3).sum(), rel=0.05)


def test_motion_draws_a_point_out_to_one_side_with_half_a_gaussian():
    point = np.zeros((9, 15, 1))
    point[4, 10] = 1
    drawn = smeared(point, 3, 2, 0)[..., 0]
    weights = np.exp(-(np.arange(7) ** 2) / 8)
    np.testing.assert_allclose(drawn[4, 10:3:-1], weights / weights.sum())
    assert drawn.sum() == pytest.approx(1)
    assert np.count_nonzero(smeared(point, 2, 2, 90)[:, 10]) == 5


def test_glass_moves_colors_of_the_neighborhood_and_leaves_a_plain_image_alone():
    image = photograph()
    plain = np.full((16, 16, 3), 100 / 255)
    np.testing.assert_allclose(glass_blur(plain, rng(), 0.4, 1, 2), plain, atol=1 / 255)
    fraction = image / 255
    moved = glass_blur(fraction, rng(), 0.0, 2, 1)
    # Without blur every pixel is an 8-bit color of the image, from the right or the left, above or below.
    colors = {tuple(color) for color in image.reshape(-1, 3).tolist()}
    found = np.rint(255 * moved).astype(int).reshape(-1, 3).tolist()
    assert {tuple(color) for color in found} <= colors
    np.testing.assert_allclose(moved[0], fraction[0], atol=1e-9)  # the border stays


def test_zoom_of_one_is_the_image_and_of_two_its_middle():
    fraction = photograph() / 255
    np.testing.assert_allclose(zoomed(fraction, 1.0), fraction)
    middle = np.array(zoomed(fraction, 2.0))[[0, -1]][:, [0, -1]]
    np.testing.assert_allclose(middle, fraction[8:24, 8:24][[0, -1]][:, [0, -1]])


def test_contrast_brightness_and_jpeg_are_their_formulas():
    image = photograph()
    fraction = image / 255
    means = fraction.mean((0, 1))
    expected = (255 * ((fraction - means) * 0.4 + means)).clip(0, 255).astype(np.uint8)
    np.testing.assert_array_equal(corrupt(image, "contrast", 3, 0, 0), expected)
    brighter = CORRUPTIONS["brightness"](fraction, rng(), 0.2)
    np.testing.assert_allclose(rgb2hsv(brighter)[..., 2], (fraction.max(-1) + 0.2).clip(0, 1), atol=1e-12)
    stream = io.BytesIO()
    PIL.Image.fromarray(image).save(stream, "JPEG", quality=40)
    np.testing.assert_array_equal(corrupt(image, "jpeg_compression", 5, 0, 0), np.asarray(PIL.Image.open(stream)))


def test_pixelate_leaves_blocks():
    ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8)[:, None], (1, 32))[..., None].repeat(3, 2)
    shown = np.rint(255 * CORRUPTIONS["pixelate"](ramp / 255, rng(), 0.25)).astype(int)
    np.testing.assert_array_equal(shown[:, 0, 0], np.repeat(ramp[:, 0, 0].reshape(8, 4).mean(1), 4).round())


def test_fog_is_a_fractal_between_zero_and_one_and_keeps_the_maximum():
    field = plasma(32, 2, rng())
    assert (field.min(), field.max()) == (0, 1)
    smooth = plasma(32, 4, rng())
    assert np.abs(np.diff(smooth, axis=0)).mean() < np.abs(np.diff(field, axis=0)).mean()
    foggy = fog(photograph(20) / 255, rng(), 1.0, 2.0)
    assert foggy.max() <= (photograph(20) / 255).max()
    assert foggy.min() >= 0


def test_elastic_without_amounts_is_the_image():
    fraction = photograph() / 255
    np.testing.assert_allclose(elastic_transform(fraction, rng(), 0, 0.1, 0), fraction, atol=1e-9)


@pytest.mark.parametrize(("name", "severity", "message"), [("frost", 1, "no corruption 'frost'"), ("fog", 6, "1 to 5")])
def test_unknown_corruptions_and_severities_are_refused(name: str, severity: int, message: str):
    with pytest.raises(ValueError, match=message):
        corrupt(photograph(), name, severity, 0, 0)


class Photographs(Source):
    image_size = 32

    @property
    def classes(self) -> tuple[str, ...]:
        return ("a",)

    def split(self, name: SplitName) -> MemorySplit:
        images = torch.from_numpy(np.array(photograph())).permute(2, 0, 1).expand(5, -1, -1, -1)
        return MemorySplit(images, torch.zeros(5, dtype=torch.long))


def test_a_corrupted_loader_delivers_what_corrupt_makes_of_every_image_in_any_batches():
    plain = ImageDataModule(Photographs(), batch_size=2, eval_batch_size=2).plain("test")
    loader = reload(plain, Corrupted(plain.dataset, "gaussian_noise", 2, seed=3))
    batches = list(loader)
    assert [len(batch.images) for batch in batches] == [2, 2, 1]
    images = torch.cat([batch.images for batch in batches])
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    for i in range(5):
        expected = (torch.from_numpy(corrupt(photograph(), "gaussian_noise", 2, 3, i)) / 255 - mean) / std
        torch.testing.assert_close(images[i], expected.permute(2, 0, 1), rtol=0, atol=1e-5)
    assert torch.equal(Corrupted(plain.dataset, "gaussian_noise", 2, seed=3)[4].images[0], images[4])
