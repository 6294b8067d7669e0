"""Images that cannot be used as they are, and why a file cannot be read."""

import io
import warnings
from pathlib import Path
from typing import BinaryIO

import PIL.Image
from PIL.TiffImagePlugin import BITSPERSAMPLE, SAMPLEFORMAT, SAMPLESPERPIXEL, ImageFileDirectory_v2

_CHANNELS = "images have 1, 3 or 4 channels of 8 or 16 bits"
_STARTS = {
    b"\x93NUMPY": f"it is a NumPy array; {_CHANNELS}",
    b"version https://git-lfs": "it is a pointer of Git LFS; fetch the file with git lfs pull",
    b"<": "it is a web page or another text, not an image",
    b"\x1f\x8b": "it is compressed with gzip; unpack it",
    b"PK\x03\x04": "it is a ZIP archive; unpack it",
}
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
    if image.format == "TIFF" and (pages := getattr(image, "n_frames", 1)) > 1:
        size = image.size
        image.seek(1)
        second = image.size  # pages of other sizes are smaller versions of the first
        image.seek(0)
        if second == size:
            raise UnsupportedImageError(
                f"it is a stack of {pages} TIFF pages; {_CHANNELS}, so write each page into a file of its own"
            )


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
    if not start:
        return ValueError("it is empty")
    found = [reason for first, reason in _STARTS.items() if start.lstrip().startswith(first)]
    return ValueError(found[0] if found else "it is not an image of a known format")


def _explained_tiff(error: Exception, header: bytes, file: BinaryIO) -> Exception:
    tags = ImageFileDirectory_v2(header)
    try:
        with warnings.catch_warnings(action="ignore"):
            file.seek(tags.next)
            tags.load(file)
        channels, bits = tags.get(SAMPLESPERPIXEL, 1), tags.get(BITSPERSAMPLE, (1,))[0]
    except Exception:  # the directory of a damaged file
        return error
    kind = {2: "signed ", 3: "floating-point "}.get(tags.get(SAMPLEFORMAT, (1,))[0], "")
    return UnsupportedImageError(f"it is a TIFF with {channels} {kind}channels of {bits} bits; {_CHANNELS}")
