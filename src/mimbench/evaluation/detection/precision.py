"""Average precision of boxes and masks, computed by pycocotools."""

import contextlib
import io
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from mimbench.data.annotated import Objects

if TYPE_CHECKING:
    from pycocotools.coco import COCO

_NAMES = {0: "", 1: "50", 2: "75", 3: "_small", 4: "_medium", 5: "_large"}  # positions in `COCOeval.stats`


class AveragePrecision:
    """COCO's AP, AP50, AP75 and AP by size, from annotations and detections in pixels of the original images.

    Detections that match a crowd are ignored, as in pycocotools, which is imported on use: training and the other
    protocols work without it.

    Args:
        object_names: Class names in the order of the labels.
    """

    def __init__(self, object_names: tuple[str, ...]) -> None:
        self.names = object_names
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.detections: list[dict[str, Any]] = []

    def add(self, index: int, size: tuple[int, int], objects: Objects, found: dict[str, Tensor]) -> None:
        """Adds the objects and detections of one image.

        Args:
            size: Height and width in pixels.
            found: Detections: boxes x0 y0 x1 y1 "k 4", labels "k" from 0, scores "k" and masks bool "k h w".
        """
        self.images.append({"id": index, "height": size[0], "width": size[1]})
        crowd = objects.crowd.tolist()
        for place, entry in enumerate(_entries(index, objects.boxes, objects.labels, objects.masks)):
            number = len(self.annotations) + 1  # pycocotools treats id 0 as missing
            area = float(objects.masks[place].sum())
            self.annotations.append(entry | {"id": number, "area": area, "iscrowd": int(crowd[place])})
        scores = found["scores"].tolist()
        entries = _entries(index, found["boxes"], found["labels"], found["masks"])
        self.detections += [entry | {"score": score} for entry, score in zip(entries, scores, strict=True)]

    def compute(self) -> dict[str, float]:
        """Returns `ap_box`, `ap_box50`, `ap_mask_small`, ... as fractions, without the sizes that have no objects.

        Raises:
            ValueError: There are no objects.
        """
        if not any(not a["iscrowd"] for a in self.annotations):
            raise ValueError(
                "These images have no objects, so there is no average precision; choose images with objects."
            )
        kinds: dict[str, Literal["bbox", "segm"]] = {"box": "bbox", "mask": "segm"}
        if not self.detections:
            return {f"ap_{kind}{number}": 0.0 for kind in kinds for number in ("", "50", "75")}
        from pycocotools.coco import COCO

        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO()
            truth.dataset = {  # pyright: ignore[reportAttributeAccessIssue]
                "info": {},
                "images": self.images,
                "annotations": self.annotations,
                "categories": [{"id": i, "name": name} for i, name in enumerate(self.names)],
            }
            truth.createIndex()
            return {
                f"ap_{kind}{_NAMES[place]}": value
                for kind, word in kinds.items()
                for place, value in enumerate(self._evaluated(truth, word))
                if value >= 0
            }

    def _evaluated(self, truth: "COCO", kind: Literal["bbox", "segm"]) -> list[float]:
        from pycocotools.cocoeval import COCOeval

        # Copies, since pycocotools modifies its input.
        results: Any = [dict(found) for found in self.detections]
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return [float(value) for value in evaluation.stats[: len(_NAMES)]]


def _entries(index: int, boxes: Tensor, labels: Tensor, masks: Tensor) -> list[dict[str, Any]]:
    """COCO's entries of boxes (corner, width, height) and masks (run lengths)."""
    from pycocotools import mask as rle

    corners = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1).tolist()
    pixels = np.asfortranarray(masks.cpu().to(torch.uint8).permute(1, 2, 0).numpy())
    lengths = rle.encode(pixels) if len(boxes) else []
    return [
        {"image_id": index, "category_id": label, "bbox": corner, "segmentation": length}
        for corner, label, length in zip(corners, labels.tolist(), lengths, strict=True)
    ]
