"""Splits whose images are decoded on request, and crops during decoding."""

import io
import warnings
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import PIL.Image
import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from mimbench.data.images.crops import Box
from mimbench.data.images.pixels import pixels, upright
from mimbench.data.images.rules import Rules
from mimbench.data.images.unsupported import UnsupportedImageError, check_supported, explained
from mimbench.data.source import Split

UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, PIL.Image.DecompressionBombError)
warnings.filterwarnings("ignore", category=PIL.Image.DecompressionBombWarning)  # twice as many pixels are an error
# Smallest ratio of box to result, in pixels, for each scale at which libjpeg decodes fast. Below it, the result would
# differ from that of full decoding by more than bilinear from bicubic interpolation. Scale 8 is only the mean of each
# JPEG block.
JPEG_SCALES = {8: 2.0, 4: 1.5, 2: 1.5}
Seen = TypeVar("Seen")


class EncodedSplit(Split):
    """Images that are stored encoded.

    A damaged or too small image is counted and replaced by the next readable one of the split, including its label.
    """

    rules: Rules

    @abstractmethod
    def stream(self, i: int) -> Path | io.BytesIO:
        """Path or file of image i for Pillow."""

    @abstractmethod
    def title(self, i: int) -> str:
        """Name of image i in messages."""

    def look(self, i: int, view: Callable[[PIL.Image.Image], Seen]) -> tuple[Seen, int]:
        """Result of `view` for image i, which is opened but not decoded, and the label of the image.

        Raises ValueError if more images are damaged than allowed, or all are.
        """
        for step in range(len(self)):
            j = (i + step) % len(self)
            try:
                with PIL.Image.open(self.stream(j)) as image:
                    check_image(image, self.rules.min_size)
                    return view(upright(image) if self.rules.upright else image), int(self.labels[j])
            except UNREADABLE as error:
                self.refuse(j, explained(error, self.stream(j)))
        raise ValueError(f"Not one of {len(self)} images can be read; the first is {self.title(0)}.")

    def refuse(self, i: int, error: Exception) -> None:
        """Counts an image that cannot be read."""
        self.rules.damaged.add(self.title(i), error)

    def check_headers(self, at_most: int = 4096) -> None:
        """Reads the headers of evenly spaced images; damaged ones are counted and replaced when they are read.

        Raises:
            ValueError: One is smaller than min_size, or not supported.
        """
        step = max(1, -(-len(self) // at_most))
        for i in range(0, len(self), step):
            try:
                with PIL.Image.open(self.stream(i)) as image:
                    width, height = image.size
                    check_supported(image)
            except UNREADABLE as error:
                if isinstance(reason := explained(error, self.stream(i)), UnsupportedImageError):
                    raise ValueError(f"{self.title(i)} cannot be used: {reason}. Convert or remove it.") from error
                continue
            if min(width, height) < self.rules.min_size:
                raise ValueError(
                    f"{self.title(i)} has {width} x {height} px, fewer than min_size={self.rules.min_size} (about "
                    "one patch); remove it or lower min_size."
                )

    def __getitem__(self, i: int) -> tuple[UInt8[Tensor, "3 h w"], int]:
        return self.look(i, pixels)


def check_image(image: PIL.Image.Image, min_size: int) -> None:
    """Raises ValueError for an image that is smaller than min_size or not supported."""
    check_supported(image)
    if min(image.size) < min_size:
        raise ValueError(f"{image.width} x {image.height} px, smaller than min_size={min_size}")


def cut(image: PIL.Image.Image, box: Box, size: int) -> UInt8[Tensor, "3 size size"]:
    """Crops an undecoded image, scales the crop to size x size (bicubic, antialiased) and may flip it.

    Equals torchvision's `resized_crop` of the decoded image. A JPEG whose crop is at least three times as large as the
    result is decoded at 1/2, 1/4 or 1/8 of its size; the box is then rounded to whole pixels of that size, which moves
    its edges by less than half a pixel of the result.
    """
    box, scale = snapped(box, size) if image.format == "JPEG" else (box, 1)
    top, left, height, width = (side // scale for side in box[:4])
    crop = scaled(pixels(image, scale, (left, top, left + width, top + height)), size)
    return crop.flip(-1) if box.flip else crop


def scaled(image: UInt8[Tensor, "3 h w"], size: int) -> UInt8[Tensor, "3 size size"]:
    """Resizes bicubically with antialiasing; colors are last in memory, which is fastest in PyTorch."""
    image = image[None].contiguous(memory_format=torch.channels_last)
    return F.interpolate(image, [size, size], mode="bicubic", antialias=True)[0]


def snapped(box: Box, size: int) -> tuple[Box, int]:
    """The scale at which an image is decoded, and the box in pixels of that scale."""
    for scale, margin in JPEG_SCALES.items():
        top, left, bottom, right = (
            scale * round(edge / scale) for edge in (box.top, box.left, box.top + box.height, box.left + box.width)
        )
        if min(bottom - top, right - left) >= margin * scale * size:
            return Box(top, left, bottom - top, right - left, box.flip), scale
    return box, 1
