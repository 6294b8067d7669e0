"""Image files as users have them: each is read with the pixels of an independent reading, or refused in a sentence."""

import gzip
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import resized_crop

from mimbench.data.images.crops import Box
from mimbench.data.images.decoding import cut
from mimbench.data.sources.unlabeled import Images

RGB = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
GRAY, OTHER = RGB[..., 0], 255 - RGB
BAND5 = np.random.default_rng(1).integers(0, 256, (24, 32, 5), dtype=np.uint8)
Write = Callable[[Path], Any]


def pillow(array: np.ndarray, **options: Any) -> Write:
    return lambda path: Image.fromarray(array).save(path, **options)


def tiff(array: np.ndarray, **options: Any) -> Write:
    return lambda path: tifffile.imwrite(path, array, **options)


def content(data: bytes) -> Write:
    return lambda path: path.write_bytes(data)


def png16(array: np.ndarray) -> Write:
    """A PNG of 16 bits per channel with gray levels or colors, which Pillow cannot write."""
    height, width = array.shape[:2]
    color = 2 if array.ndim == 3 else 0
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return content(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def encoded(form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, form, **options)
    return stream.getvalue()


def palette(path: Path) -> None:
    Image.fromarray(RGB).quantize(16).save(path, transparency=3)


def orientation(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


def gray(levels: np.ndarray) -> np.ndarray:
    return np.stack([levels] * 3, axis=-1)


RAMP = np.linspace(0, 65_535, 24 * 32).round().astype(np.uint16).reshape(24, 32)
SIXTEEN = gray(np.rint(RAMP / 257).astype(np.uint8))
DECODED = {form: np.asarray(Image.open(io.BytesIO(encoded(form))).convert("RGB")) for form in ("JPEG", "WEBP")}
PALETTE = np.asarray(Image.fromarray(RGB).quantize(16).convert("RGB"))
CMYK = Image.fromarray(RGB).convert("CMYK")


def cmyk_jpeg(path: Path) -> None:
    CMYK.save(path)  # with the marker of Adobe, whose values are inverted
    assert b"Adobe" in path.read_bytes()


def cmyk_pixels() -> np.ndarray:
    stream = io.BytesIO()
    CMYK.save(stream, "JPEG")
    ink = np.asarray(Image.open(stream)).astype(int)  # 0 is no ink
    return np.clip(255 - ink[..., :3] - ink[..., 3:], 0, 255).astype(np.uint8)


ACCEPTED: dict[str, tuple[str, Write, np.ndarray]] = {
    "8-bit color": ("a.png", pillow(RGB), RGB),
    "8-bit gray": ("a.png", pillow(GRAY), gray(GRAY)),
    "1 bit": ("a.png", pillow(GRAY > 127), gray(np.where(GRAY > 127, 255, 0).astype(np.uint8))),
    "1-bit TIFF": ("a.tif", tiff(GRAY > 127, photometric="minisblack"), gray(np.where(GRAY > 127, 255, 0))),
    "16-bit gray PNG": ("a.png", png16(RAMP), SIXTEEN),
    "16-bit gray TIFF": ("a.tif", tiff(RAMP), SIXTEEN),
    "16-bit gray TIFF, big-endian": ("a.tif", tiff(RAMP, byteorder=">"), SIXTEEN),
    "16-bit color PNG": ("a.png", png16(RGB.astype(np.uint16) * 256 + 77), RGB),
    "16-bit color TIFF": ("a.tif", tiff(RGB.astype(np.uint16) * 256 + 77, photometric="rgb"), RGB),
    "8-bit TIFF, LZW": ("a.tiff", pillow(RGB, compression="tiff_lzw"), RGB),
    "tiled TIFF": ("a.tif", tiff(RGB, photometric="rgb", tile=(16, 16)), RGB),
    "planar TIFF": ("a.tif", tiff(RGB.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"), RGB),
    "TIFF with a smaller version": (
        "a.tif",
        lambda path: Image.fromarray(RGB).save(path, save_all=True, append_images=[Image.fromarray(RGB[::2, ::2])]),
        RGB,
    ),
    "palette": ("a.png", lambda path: Image.fromarray(RGB).quantize(16).save(path), PALETTE),
    "palette with transparency": ("a.png", palette, PALETTE),
    "gray with alpha": ("a.png", pillow(np.dstack([GRAY, RGB[..., 1]])), gray(GRAY)),
    "color with alpha": ("a.png", pillow(np.dstack([RGB, GRAY])), RGB),
    "WebP with alpha": ("a.webp", pillow(np.dstack([RGB, GRAY]), lossless=True, exact=True), RGB),
    "WebP": ("a.webp", content(encoded("WEBP")), DECODED["WEBP"]),
    "animated WebP": (
        "a.webp",
        lambda path: Image.fromarray(RGB).save(
            path, save_all=True, append_images=[Image.fromarray(OTHER)], lossless=True
        ),
        RGB,
    ),
    "animated GIF": (
        "a.gif",
        lambda path: Image.fromarray(GRAY).save(path, save_all=True, append_images=[Image.fromarray(255 - GRAY)]),
        gray(GRAY),
    ),
    "JPEG": ("a.jpg", content(encoded("JPEG")), DECODED["JPEG"]),
    "JPEG with the name of a PNG": ("a.png", content(encoded("JPEG")), DECODED["JPEG"]),
    "name in capitals": ("A.JPEG", content(encoded("JPEG")), DECODED["JPEG"]),
    "gray JPEG": ("a.jpg", pillow(np.full((24, 32), 90, np.uint8)), np.full((24, 32, 3), 90)),
    "CMYK JPEG of Adobe": ("a.jpg", cmyk_jpeg, cmyk_pixels()),
    "CMYK TIFF": ("a.tif", lambda path: CMYK.save(path), RGB),
    "rotation in EXIF data is ignored": ("a.png", pillow(RGB, exif=orientation(6)), RGB),
    "BMP": ("a.bmp", pillow(RGB), RGB),
    "PPM": ("a.ppm", pillow(RGB), RGB),
    "as small as a patch": ("a.png", pillow(RGB[:16, :16]), RGB[:16, :16]),
    "very wide": ("a.png", pillow(np.tile(RGB[:16], (1, 280, 1))), np.tile(RGB[:16], (1, 280, 1))),
}

# Refused when the folder is opened, before training.
REFUSED: dict[str, tuple[str, Write, str]] = {
    "floating-point TIFF": ("a.tif", tiff(GRAY.astype(np.float32) / 255), "floating-point gray levels"),
    "floating-point color TIFF": (
        "a.tif",
        tiff(RGB.astype(np.float32), photometric="rgb"),
        "a TIFF with 3 floating-point channels of 32 bits; images have 1, 3 or 4 channels of 8 or 16 bits",
    ),
    "32-bit TIFF": ("a.tif", tiff(GRAY.astype(np.uint32)), "32-bit or signed gray levels"),
    "signed TIFF": ("a.tif", tiff(GRAY.astype(np.int16) - 9), "32-bit or signed gray levels"),
    "five channels": (
        "a.tif",
        tiff(BAND5, photometric="minisblack", planarconfig="contig"),
        "a TIFF with 5 channels of 8 bits",
    ),
    "thirteen channels of 16 bits": (
        "a.tif",
        tiff(np.zeros((24, 32, 13), np.uint16), photometric="minisblack", planarconfig="contig"),
        "a TIFF with 13 channels of 16 bits",
    ),
    "channels as pages": ("a.tif", tiff(BAND5.transpose(2, 0, 1), photometric="minisblack"), "a stack of 5 TIFF pages"),
    "1 px": ("a.png", pillow(RGB[:1, :1]), "has 1 x 1 px, fewer than min_size=16"),
    "5 px": ("a.png", pillow(RGB[:5, :5]), "has 5 x 5 px, fewer than min_size=16"),
    "9 x 9000 px": ("a.png", pillow(np.zeros((9000, 9, 3), np.uint8)), "has 9 x 9000 px, fewer than min_size=16"),
    "225 megapixels": (
        "a.png",
        lambda path: Image.new("1", (15_000, 15_000)).save(path),
        "more than 178 megapixels; cut it into tiles or make it smaller",
    ),
}

# Counted as damaged when they are read: other images take their places, up to max_damaged.
DAMAGED: dict[str, tuple[str, Write, str]] = {
    "no bytes": ("a.png", content(b""), "it is empty"),
    "web page": ("a.jpg", content(b"<html><h1>404</h1>"), "it is a web page or another text"),
    "words": ("a.jpg", content(b"not an image"), "it is not an image of a known format"),
    "half a PNG": ("a.png", content(encoded("PNG")[:900]), "truncated"),
    "half a JPEG": ("a.jpg", content(encoded("JPEG")[:900]), "truncated"),
    "gzip": ("a.png", content(gzip.compress(encoded("PNG"))), "it is compressed with gzip; unpack it"),
    "ZIP": ("a.png", content(b"PK\x03\x04" + bytes(60)), "it is a ZIP archive; unpack it"),
    "NumPy array": ("a.png", content(b"\x93NUMPY\x01\x00" + bytes(90)), "it is a NumPy array"),
    "pointer of Git LFS": ("a.png", content(b"version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
    "damaged TIFF": ("a.tif", content(b"II*\0" + b"\xff" * 40), "cannot identify image file"),
}


def opened(folder: Path, name: str, write: Write, max_damaged: int = 0, **options: Any) -> Any:
    """The images of a folder with one file of interest and two others."""
    write(folder / name)
    for number in range(2):
        Image.fromarray(OTHER).save(folder / f"z{number}.png")
    return Images(folder, 32, holdout=0.3, max_damaged=max_damaged, **options)


def pixels_of(source: Images, name: str) -> np.ndarray:
    files = source._train
    place = next(i for i in range(len(files)) if files.file(i).name == name)
    return files[place][0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("case", ACCEPTED)
def test_pixels_are_those_of_an_independent_reading(tmp_path: Path, case: str) -> None:
    name, write, expected = ACCEPTED[case]
    np.testing.assert_array_equal(pixels_of(opened(tmp_path, name, write), name), expected)


# What the numbers of EXIF's tag Orientation ask for (EXIF 2.3, 4.6.4), in NumPy.
TURNED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda pixels: np.rot90(pixels),
}


@pytest.mark.parametrize("number", TURNED)
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_upright_turns_images_as_exif_data_say(tmp_path: Path, name: str, number: int) -> None:
    stored = RGB if name == "a.png" else DECODED["JPEG"]
    source = opened(tmp_path, name, pillow(RGB, exif=orientation(number)), upright=True)
    np.testing.assert_array_equal(pixels_of(source, name), TURNED[number](stored))
    source = Images(tmp_path, 32, holdout=0.3)
    np.testing.assert_array_equal(pixels_of(source, name), stored)


def test_crops_are_those_of_the_upright_image(tmp_path: Path) -> None:
    large = np.asarray(Image.fromarray(RGB).resize((400, 300)))
    source = opened(tmp_path, "a.jpg", pillow(large, exif=orientation(6)), upright=True)
    split, box = source._train, Box(40, 10, 200, 100)
    found, _ = split.look(0, lambda image: cut(image, box, 32))
    whole = torch.from_numpy(pixels_of(source, "a.jpg").copy()).permute(2, 0, 1)
    assert whole.shape == (3, 400, 300)
    expected = resized_crop(whole, 40, 10, 200, 100, [32, 32], InterpolationMode.BICUBIC, antialias=True)
    assert (found.int() - expected.int()).abs().max() <= 1


def test_a_hundred_megapixels_are_read_without_a_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    source = opened(tmp_path, "a.png", lambda path: Image.new("1", (10_000, 10_000), 1).save(path))
    found = pixels_of(source, "a.png")
    assert found.shape == (10_000, 10_000, 3)
    assert found.min() == 255


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_supported_is_refused_before_training(tmp_path: Path, case: str) -> None:
    name, write, message = REFUSED[case]
    with pytest.raises(ValueError, match=r".") as refusal:
        opened(tmp_path, name, write, max_damaged=10)
    assert name in str(refusal.value)
    assert message in str(refusal.value)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")  # Pillow's word for a damaged TIFF
@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_no_image_is_counted_as_damaged_with_the_reason(tmp_path: Path, case: str, caplog: Any) -> None:
    name, write, message = DAMAGED[case]
    np.testing.assert_array_equal(pixels_of(opened(tmp_path, name, write, max_damaged=1), name), OTHER)
    assert message in caplog.text
    with pytest.raises(ValueError, match=r"cannot be read .* max_damaged is 0"):
        pixels_of(opened(tmp_path, name, write), name)
