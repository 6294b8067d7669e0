"""Images with a class per pixel or with objects."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Bool, Float32, Int64, UInt8
from torch import Tensor

from mimbench.data.source import Split, SplitName

IGNORED = 255
"""The class of pixels that are excluded from losses and metrics."""

_REMEDY = {"classes": "scenes, collages or ade20k", "objects": "scenes, collages or coco"}


@dataclass(frozen=True)
class Objects:
    """The objects of an image, in COCO's terms.

    Attributes:
        boxes: x0, y0, x1, y1 in pixels; x1 and y1 are exclusive.
        labels: Index of the class in `object_names`.
        masks: The pixels of each object.
        crowd: Whether it is a group of objects, which is not used in training and not counted as missed.
    """

    boxes: Float32[Tensor, "k 4"]
    labels: Int64[Tensor, " k"]
    masks: Bool[Tensor, "k h w"]
    crowd: Bool[Tensor, " k"]

    def __len__(self) -> int:
        return len(self.labels)


class AnnotatedSplit(Split):
    """A split with annotated images; an image as a whole has no class, so all `labels` are -1.

    Attributes:
        class_names: Names of the values of `classes`; empty if there are none.
        object_names: Names of the labels of `objects`; empty if there are none.
    """

    class_names: tuple[str, ...] = ()
    object_names: tuple[str, ...] = ()

    def identifier(self, i: int) -> str:
        """Name of an image in messages: that of its file, if it has one."""
        return f"image {i}"

    def image(self, i: int) -> UInt8[Tensor, "3 h w"]:
        """The whole image. Raises ValueError with the file name if it cannot be read."""
        return self[i][0]

    def classes(self, i: int) -> UInt8[Tensor, "h w"]:
        """A class per pixel or `IGNORED`. Raises ValueError with the file name for an invalid annotation."""
        raise NotImplementedError(f"{type(self).__name__} has no classes per pixel.")

    def objects(self, i: int) -> Objects:
        """The objects in the image. Raises ValueError with the file name for an invalid annotation."""
        raise NotImplementedError(f"{type(self).__name__} has no objects.")


def annotated(split: Split, kind: Literal["classes", "objects"], name: SplitName) -> AnnotatedSplit:
    """Returns the split if it has this kind of annotation.

    Raises:
        ValueError: It has no such annotation, or is empty.
    """
    names = split.class_names if isinstance(split, AnnotatedSplit) and kind == "classes" else ()
    if isinstance(split, AnnotatedSplit) and kind == "objects":
        names = split.object_names
    if not isinstance(split, AnnotatedSplit) or not names:
        what = "a class per pixel" if kind == "classes" else "objects with outlines"
        raise ValueError(f"These images have no annotation ({what}); choose data={_REMEDY[kind]}.")
    if not len(split):
        raise ValueError(f"The {name} split has no images; add some, or change what is held out.")
    return split
