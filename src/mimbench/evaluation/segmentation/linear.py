"""Segmentation with a linear head on frozen features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mimbench.core import generator
from mimbench.data.annotated import annotated
from mimbench.evaluation.base import ImageProtocol, Subject
from mimbench.evaluation.dense.resizing import AnySize
from mimbench.evaluation.finetuning.fitting import folder, forget
from mimbench.evaluation.segmentation.data import SegmentationData
from mimbench.evaluation.segmentation.fitting import segment
from mimbench.evaluation.segmentation.heads import LinearHead
from mimbench.evaluation.segmentation.module import Segmentation


@dataclass
class SegmentLinear(ImageProtocol):
    """segment-linear-v1: a linear classifier per pixel on frozen patch features.

    Features: all patch tokens of the last depth after the trunk's final norm, or those of several depths concatenated.
    Head: batch norm without learned scale, 1x1 convolution; logits are upsampled bilinearly.
    Augmentation: scaling by 0.5 to 2, crop of `size` with at most 75 % of one class, horizontal flips where allowed.
    Optimizer: AdamW (0.9, 0.999), rate 1e-2, weight decay 1e-4 on the convolution, warm-up over 5 % of the steps, then
        linearly to 0; 20 epochs at batch 16. The head after the last step is evaluated.
    Grid: none. Selection: none; the loss on "val" is logged every epoch but not used.
    Read once, after the last step: "test", images scaled to a shorter side of `size`, sliding window of `size` with a
        stride of two thirds, scored at their own sizes. mIoU over the pixels of all images; 255 is ignored.

    Attributes:
        depths: Depths to read; by default the last one.
        size: Side of crops and windows in pixels; by default the image size of the data.
    """

    name = "segment-linear-v1"

    depths: Sequence[int] | None = None
    size: int | None = None
    epochs: int = 20
    batch_size: int = 16
    lr: float = 1e-2
    weight_decay: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        self.depths = None if self.depths is None else tuple(self.depths)
        if min(self.epochs, self.batch_size) < 1 or self.lr <= 0 or self.depths == ():
            raise ValueError(
                f"epochs, batch_size and lr must be positive and depths not empty, got {self.epochs}, "
                f"{self.batch_size}, {self.lr} and {self.depths}."
            )

    def check(self, datamodule: Any) -> None:
        annotated(datamodule.split("train"), "classes", "train")

    def __call__(self, subject: Subject) -> dict[str, Any]:
        size = subject.datamodule.image_size if self.size is None else self.size
        data = SegmentationData(subject.datamodule, size, self.batch_size, photometric=False, seed=self.seed)
        directory = folder(subject, self, self.seed)
        encoder = AnySize(subject.encoder.eval())
        depths = (encoder.depth,) if self.depths is None else self.depths
        if unknown := sorted(set(depths) - encoder.cells.keys()):
            raise ValueError(f"This encoder has depths 0 to {encoder.depth}, not {unknown}; change depths.")
        model = LinearHead(encoder, depths, len(data.class_names))
        torch.nn.init.normal_(model.classify.weight, std=0.01, generator=generator(self.seed))
        torch.nn.init.zeros_(model.classify.bias)  # pyright: ignore[reportArgumentType]
        groups = [
            {"params": [model.classify.weight], "lr": self.lr, "weight_decay": self.weight_decay},
            {"params": [model.classify.bias], "lr": self.lr, "weight_decay": 0.0},
        ]
        steps = self.epochs * data.steps_per_epoch
        training = Segmentation(model, groups, steps, steps // 20, (0.9, 0.999), self.seed)
        result = segment(subject, training, data, directory)
        forget(directory)
        return result | {"depths": list(depths)}
