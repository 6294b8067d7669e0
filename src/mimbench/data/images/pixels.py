"""Pixels of images that Pillow has opened."""

import numpy as np
import PIL.Image
import torch
from jaxtyping import UInt8
from PIL import ExifTags
from PIL.Image import Transpose
from PIL.ImageFile import ImageFile
from torch import Tensor
from torchvision.transforms.v2 import functional as F

try:
    from simplejpeg import decode_jpeg  # pyright: ignore[reportMissingImports]
except ImportError:  # Pillow returns the same pixels but is slower
    decode_jpeg = None

_WHITE = 65_535  # modes of 16-bit images
# What EXIF's numbers for the orientation ask for (EXIF 2.3, 4.6.4); 1 is upright.
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}

Part = tuple[int, int, int, int]  # left, top, right and bottom, as in Pillow


def pixels(image: PIL.Image.Image, scale: int = 1, part: Part | None = None) -> UInt8[Tensor, "3 h w"]:
    """An image in three colors.

    JPEGs are decoded by simplejpeg if it is installed: libjpeg-turbo as in Pillow, with fewer copies. Files that it
    rejects are passed to Pillow, so that the same files count as damaged.

    Args:
        scale: Divisor of the sides, rounded up: 1, or 2, 4 or 8 for a JPEG that is not yet decoded.
        part: Box in the scaled image; by default the whole image.
    """
    if decode_jpeg and (content := jpeg(image)):
        height, width = -(-image.height // scale), -(-image.width // scale)
        try:
            found = decode_jpeg(content, "RGB", min_height=height, min_width=width)
        except ValueError:
            pass
        else:
            left, top, right, bottom = part or (0, 0, width, height)
            return torch.from_numpy(found[top:bottom, left:right]).permute(2, 0, 1)
    if scale > 1:
        image.draft(None, (image.width // scale, image.height // scale))
    return colors(image.crop(part) if part else image)


def colors(image: PIL.Image.Image) -> UInt8[Tensor, "3 h w"]:
    """Decodes an image to three colors with Pillow.

    16-bit gray levels are divided by 257, so that 65,535 is white. Alpha channels are dropped and the orientation in
    EXIF data is ignored, as torchvision's ImageFolder does; see `upright`.

    Raises:
        ValueError: Gray levels are floats or 32-bit integers, whose range is unknown.
    """
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        if image.mode == "F" or values.min() < 0 or values.max() > _WHITE:
            raise ValueError(
                f"its gray levels are of mode {image.mode}, {values.min():g} to {values.max():g}; convert it to 8 or "
                "16 bits"
            )
        gray = torch.from_numpy(np.rint(values * (255 / _WHITE)).astype(np.uint8))
        return gray.expand(3, -1, -1).contiguous()
    return F.pil_to_tensor(image if image.mode == "RGB" else image.convert("RGB"))


def upright(image: PIL.Image.Image) -> PIL.Image.Image:
    """An image rotated and mirrored as the orientation in its EXIF data says, decoded; otherwise the image itself."""
    turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image if turn is None else image.transpose(turn)


def jpeg(image: PIL.Image.Image) -> bytes | None:
    """The file of an undecoded gray or three-color JPEG; None for other images."""
    if not isinstance(image, ImageFile) or image.format != "JPEG" or image.mode not in ("L", "RGB"):
        return None
    if image.fp is None:  # decoded, and the file closed
        return None
    image.fp.seek(0)
    return image.fp.read()
