"""Images that cannot be used as they are, and why a file cannot be read."""

import io
import warnings
from pathlib import Path
from typing import BinaryIO

import PIL.Image
from PIL.TiffImagePlugin import BITSPERSAMPLE, SAMPLEFORMAT, SAMPLESPERPIXEL, ImageFileDirectory_v2

from mimbench.core.foreign import foreign

_CHANNELS = "images have 1, 3 or 4 channels of 8 or 16 bits"
_OTHERS = {b"\x93NUMPY": f"it is a NumPy array; {_CHANNELS}", b"PK\x03\x04": "it is a ZIP archive; unpack it"}
_MEGAPIXELS = 178  # above, Pillow raises DecompressionBombError


class UnsupportedImageError(ValueError):
    """An image is not damaged, but its channels, range or size are not supported."""


def check_supported(image: PIL.Image.Image) -> None:
    """Requires an opened image whose gray levels have a known range, and that is not a stack of images.

    Raises:
        UnsupportedImageError: It has floating-point or 32-bit gray levels, or several TIFF pages of the same size.
    """
    # Older versions of Pillow open 16-bit PNGs in mode I; cropped images, without a format, are checked by `colors`.
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", None)):
        kind = "floating-point" if image.mode == "F" else "32-bit or signed"
        raise UnsupportedImageError(f"it has {kind} gray levels, whose range is unknown; convert it to 8 or 16 bits")
    if image.format == "TIFF" and _second_size(image) == image.size:  # other sizes are smaller versions of the first
        raise UnsupportedImageError(
            f"it is a stack of {getattr(image, 'n_frames', 2)} TIFF pages; {_CHANNELS}, so write each page into a file "
            "of its own"
        )


def _second_size(image: PIL.Image.Image) -> tuple[int, int] | None:
    """Size of the second page without reading the directories of further ones; None if there is none."""
    try:
        image.seek(1)
    except EOFError:
        return None
    size = image.size
    image.seek(0)
    return size


def explained(error: Exception, stream: Path | io.BytesIO) -> Exception:
    """The error with what the file is; UnsupportedImageError if Pillow knows its format but not its channels."""
    if isinstance(error, PIL.Image.DecompressionBombError):
        return UnsupportedImageError(f"it has more than {_MEGAPIXELS} megapixels; cut it into tiles or make it smaller")
    if not isinstance(error, PIL.UnidentifiedImageError):
        return error
    try:
        with io.BytesIO(stream.getvalue()) if isinstance(stream, io.BytesIO) else stream.open("rb") as file:
            start = file.read(64)
            if start[:4] in (b"II*\0", b"MM\0*"):
                return _explained_tiff(error, start[:8], file)
    except OSError:
        return error
    return ValueError(foreign(start, _OTHERS) or "it is not an image of a known format")


def _explained_tiff(error: Exception, header: bytes, file: BinaryIO) -> Exception:
    tags = ImageFileDirectory_v2(header)
    try:
        with warnings.catch_warnings(action="ignore"):
            file.seek(tags.next)
            tags.load(file)
        channels, bits = tags[SAMPLESPERPIXEL], tags[BITSPERSAMPLE][0]
    except Exception:  # the directory of a damaged file
        return error
    kind = {2: "signed ", 3: "floating-point "}.get(tags.get(SAMPLEFORMAT, (1,))[0], "")
    return UnsupportedImageError(f"it is a TIFF with {channels} {kind}channels of {bits} bits; {_CHANNELS}")
