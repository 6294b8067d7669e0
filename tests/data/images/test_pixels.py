"""One result, whoever decodes: Pillow alone, or simplejpeg before it."""

import io
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from mimbench.data.images import pixels as module
from mimbench.data.images.pixels import colors, pixels

KINDS: dict[str, dict[str, Any]] = {
    "4:2:0": {},
    "4:4:4": {"subsampling": 0},
    "4:2:2": {"subsampling": 1},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
}


def encoded(size: tuple[int, int] = (101, 67), mode: str = "RGB", form: str = "JPEG", **options: Any) -> io.BytesIO:
    stream = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).resize(size).convert(mode).save(stream, form, **options)
    return stream


def pillows(stream: io.BytesIO, scale: int = 1) -> torch.Tensor:
    image = Image.open(stream)
    image.draft(None, (image.width // scale, image.height // scale))
    return colors(image)


def spoiled(stream: io.BytesIO, number: int) -> io.BytesIO:
    """Some bytes are others, or the end is missing."""
    rng, content = np.random.default_rng(number), bytearray(stream.getvalue())
    if number % 4 == 0:
        return io.BytesIO(content[: int(rng.integers(300, len(content)))])
    for place in rng.integers(300, len(content), int(rng.integers(1, 4))):
        content[place] = int(rng.integers(256))
    return io.BytesIO(content)


@pytest.fixture(params=["pillow", "simplejpeg"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    found = None if request.param == "pillow" else pytest.importorskip("simplejpeg").decode_jpeg
    monkeypatch.setattr(module, "decode_jpeg", found)


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(101, 67), (96, 64), (17, 23)])
def test_pixels_are_pillows_at_every_scale(kind: str, scale: int, size: tuple[int, int]) -> None:
    stream = encoded(size, **KINDS[kind])
    found = pixels(Image.open(stream), scale)
    assert found.shape == (3, -(-size[1] // scale), -(-size[0] // scale))
    assert torch.equal(found, pillows(stream, scale))
    part = pixels(Image.open(stream), scale, (1, 0, 2, 2))
    assert torch.equal(part, found[:, 0:2, 1:2])


@pytest.mark.usefixtures("decoder")
def test_a_image_of_less_than_a_block_is_whole() -> None:
    for size in ((1, 1), (5, 7)):
        assert torch.equal(pixels(Image.open(encoded(size))), pillows(encoded(size)))


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize(("mode", "form"), [("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("RGBA", "PNG")])
def test_other_images_become_three_colors_as_pillow_says(mode: str, form: str) -> None:
    stream = encoded(mode=mode, form=form)
    assert torch.equal(pixels(Image.open(stream)), colors(Image.open(stream)))


@pytest.mark.usefixtures("decoder")
def test_a_image_that_is_decoded_already_is_taken_as_it_is() -> None:
    image = Image.open(encoded())
    image.load()
    image.putpixel((3, 5), (1, 2, 3))
    assert pixels(image)[:, 5, 3].tolist() == [1, 2, 3]


@pytest.mark.usefixtures("decoder")
def test_pillow_decides_what_is_too_damaged() -> None:
    refused = 0
    for stream in (spoiled(encoded(), number) for number in range(60)):
        try:
            expected = pillows(stream)
        except OSError:
            refused += 1
            with pytest.raises(OSError, match=r"."):
                pixels(Image.open(stream))
        else:
            assert torch.equal(pixels(Image.open(stream)), expected)
    assert 10 < refused < 50


def test_a_jpeg_goes_to_simplejpeg_and_what_it_refuses_to_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[bytes]()

    def fails(content: bytes, *_: Any, **__: Any) -> None:
        asked.append(content)
        raise ValueError("a complaint")

    monkeypatch.setattr(module, "decode_jpeg", fails)
    stream = encoded()
    assert torch.equal(pixels(Image.open(stream), 2), pillows(stream, 2))
    assert asked == [stream.getvalue()]
    for other in (encoded(form="PNG"), encoded(mode="CMYK")):
        pixels(Image.open(other))
    assert len(asked) == 1


RAMP = np.linspace(0, 65_535, 256).round().astype(np.uint16).reshape(16, 16)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_gray_levels_keep_their_order(form: str) -> None:
    """Pillow's own conversion makes everything above 255 white."""
    stream = io.BytesIO()
    Image.fromarray(RAMP).save(stream, form)
    found = pixels(Image.open(stream))
    assert found.shape == (3, 16, 16)
    np.testing.assert_array_equal(found[1].numpy().ravel(), np.arange(256))


def test_big_endian_16_bit_levels_are_read_alike() -> None:
    image = Image.frombytes("I;16B", (16, 16), RAMP.astype(">u2").tobytes())
    np.testing.assert_array_equal(pixels(image)[0].numpy().ravel(), np.arange(256))


@pytest.mark.parametrize("values", [np.full((16, 16), 0.5, np.float32), np.full((16, 16), 70_000, np.int32)])
def test_gray_levels_of_unknown_range_are_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="convert it to 8 or 16 bits"):
        pixels(Image.fromarray(values))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_other_modes_are_what_pillow_converts(mode: str) -> None:
    image = Image.fromarray(skimage.data.astronaut()[:40, :40]).convert("RGB")
    image = image.convert("L").convert(mode) if mode in ("1", "LA") else image
    if mode not in ("1", "LA"):
        image = image.convert(mode)
    assert torch.equal(pixels(image), torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1))


def test_the_orientation_in_exif_data_is_ignored_as_by_torchvision() -> None:
    image = Image.fromarray(skimage.data.astronaut()[:30, :40])
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    image.save(stream, "PNG", exif=exif)
    assert torch.equal(pixels(Image.open(stream)), pixels(image))
