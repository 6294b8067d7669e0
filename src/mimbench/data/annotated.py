"""Images with a class per pixel, or with outlined objects."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Bool, Float32, Int64, UInt8
from torch import Tensor

from mimbench.data.source import Split, SplitName

IGNORED = 255
"""The class of pixels that count in no loss and no metric."""

_REMEDY = {"classes": "scenes, collages or ade20k", "objects": "scenes, collages or coco"}


@dataclass(frozen=True)
class Objects:
    """What an image shows, in COCO's terms.

    Attributes:
        boxes: x0, y0, x1, y1 in pixels; x1 and y1 lie outside.
        labels: Place of the class in `object_names`.
        masks: The pixels of every object.
        crowd: Whether it stands for a group, which is neither trained on nor counted as missed.
    """

    boxes: Float32[Tensor, "k 4"]
    labels: Int64[Tensor, " k"]
    masks: Bool[Tensor, "k h w"]
    crowd: Bool[Tensor, " k"]

    def __len__(self) -> int:
        return len(self.labels)


class AnnotatedSplit(Split):
    """A split that also tells where things are; its images have no class as a whole, so all `labels` are -1.

    Attributes:
        class_names: Of the values of `classes`; empty where there are none.
        object_names: Of the labels of `objects`; empty where there are none.
    """

    class_names: tuple[str, ...] = ()
    object_names: tuple[str, ...] = ()

    def identifier(self, i: int) -> str:
        """What messages call an image, the name of its file if it has one."""
        return f"image {i}"

    def image(self, i: int) -> UInt8[Tensor, "3 h w"]:
        """The whole image. Raises ValueError, naming the file, if it cannot be read."""
        return self[i][0]

    def classes(self, i: int) -> UInt8[Tensor, "h w"]:
        """A class per pixel or `IGNORED`. Raises ValueError, naming the file, for an annotation that is broken."""
        raise NotImplementedError(f"{type(self).__name__} has no classes per pixel.")

    def objects(self, i: int) -> Objects:
        """The objects in the image. Raises ValueError, naming the file, for an annotation that is broken."""
        raise NotImplementedError(f"{type(self).__name__} has no objects.")


def annotated(split: Split, kind: Literal["classes", "objects"], name: SplitName) -> AnnotatedSplit:
    """The split, if it has this kind of annotation.

    Raises:
        ValueError: It has not, or is empty.
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
