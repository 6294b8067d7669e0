"""Pixels of pictures that Pillow has opened."""

import PIL.Image
import torch
from jaxtyping import UInt8
from PIL.ImageFile import ImageFile
from torch import Tensor
from torchvision.transforms.v2 import functional as F

try:
    from simplejpeg import decode_jpeg  # pyright: ignore[reportMissingImports]
except ImportError:  # Pillow gives the same pixels, more slowly
    decode_jpeg = None

Part = tuple[int, int, int, int]  # left, top, right and bottom, as Pillow has them


def pixels(picture: PIL.Image.Image, scale: int = 1, part: Part | None = None) -> UInt8[Tensor, "3 h w"]:
    """A picture in three colours.

    A JPEG goes to simplejpeg where that is installed: libjpeg-turbo as in Pillow, without Pillow's copies. What makes
    it complain is left to Pillow, which alone decides what is too damaged.

    Args:
        scale: 1, or for a JPEG that is not yet decoded 2, 4 or 8: sides are divided by it, and rounded up.
        part: What is wanted of the picture so scaled; all of it if None.
    """
    if decode_jpeg and (content := jpeg(picture)):
        height, width = -(-picture.height // scale), -(-picture.width // scale)
        try:
            found = decode_jpeg(content, "RGB", min_height=height, min_width=width)
        except ValueError:
            pass
        else:
            left, top, right, bottom = part or (0, 0, width, height)
            return torch.from_numpy(found[top:bottom, left:right]).permute(2, 0, 1)
    if scale > 1:
        picture.draft(None, (picture.width // scale, picture.height // scale))
    return colours(picture.crop(part) if part else picture)


def colours(picture: PIL.Image.Image) -> UInt8[Tensor, "3 h w"]:
    """What Pillow decodes, in three colours."""
    return F.pil_to_tensor(picture if picture.mode == "RGB" else picture.convert("RGB"))


def jpeg(picture: PIL.Image.Image) -> bytes | None:
    """The file of a picture that is a JPEG, not yet decoded, and grey or of three colours."""
    if not isinstance(picture, ImageFile) or picture.format != "JPEG" or picture.mode not in ("L", "RGB"):
        return None
    if picture.fp is None:  # decoded, and the file closed
        return None
    picture.fp.seek(0)
    return picture.fp.read()
