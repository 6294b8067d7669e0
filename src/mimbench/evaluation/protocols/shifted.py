"""A linear head on other images of the same classes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtyping import Float, Int64
from torch import Tensor

from mimbench.data.images.files import FileSplit
from mimbench.data.loader import PlainSet
from mimbench.data.reload import reload
from mimbench.data.sources.labeled_folder import labeled_folder
from mimbench.data.transforms import EvalTransform
from mimbench.evaluation.base import ImageProtocol, Protocol, Subject
from mimbench.evaluation.features.extraction import extract
from mimbench.evaluation.protocols.linear import Linear
from mimbench.evaluation.selection import accuracy, check_classes


@dataclass
class Shifted(ImageProtocol):
    """<dataset>-v1: linear-v1's head, trained on the run's data, on a labeled folder that has some of its classes.

    For ImageNet-A, ImageNet-R, ImageNet-Sketch, ImageNet-V2 and any folder in their layout; see `labeled_folder`.
    Features, normalization, head, optimizer, grid and selection: those of linear-v1; nothing is chosen on the folder.
    Images: evaluation transform of photographs, the shorter side to size / 0.875 and the center crop.
    Prediction: the most likely of the classes that occur in the folder, as the official evaluations of ImageNet-A and
        ImageNet-R do (200 of 1,000); `accuracy_all_classes` is that among all classes of the training data.
    The run's own test split is not read.

    Args:
        dataset: Gives the result its name.
        root: The folder that holds the class folders.
        max_damaged: Damaged files tolerated per process.

    Raises:
        ValueError: When called, if the folder is missing, or its folders name no classes of the training data.
    """

    dataset: str = "shifted"
    root: str = field(default="", metadata={"card": False})
    linear: Linear = field(default_factory=Linear)
    max_damaged: int = field(default=10, metadata={"card": False})

    @property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return f"{self.dataset}-v1"

    def card(self) -> Protocol:
        return type(self)(self.dataset)

    def reads(self, depth: int) -> set[str]:
        return {f"patches-{depth}"}

    def check(self, datamodule: Any) -> None:
        super().check(datamodule)
        self._split(datamodule)

    def _split(self, datamodule: Any, min_size: int = 1) -> FileSplit:
        if not self.root:
            raise ValueError(f"{self.name} needs a folder of class folders; give its root.")
        return labeled_folder(Path(self.root), datamodule.classes, self.max_damaged, min_size)

    def __call__(self, subject: Subject) -> dict[str, Any]:
        data, depth = subject.datamodule, subject.encoder.depth
        split = self._split(data, subject.encoder.taps[0].cell)
        train, val = subject.features("train"), subject.features("val")
        check_classes(train, val, "val")
        chosen = self.linear.select(train, val, depth)
        loader = reload(data.plain("val"), PlainSet(split, EvalTransform(data.image_size)))
        found = extract(subject.encoder, loader, [depth], subject.device)
        labels = found.labels.to(found.device)
        present = labels.unique()
        assert chosen.scores is not None
        scores = chosen.scores(found.at(depth))
        return {
            "accuracy": accuracy(predict_among(scores, present), labels),
            "accuracy_all_classes": accuracy(scores.argmax(1), labels),
            "num_test": len(labels),
            "num_classes": len(present),
            **chosen.setting,
            "val_accuracy": chosen.val_accuracy,
            "depth": depth,
        }


def predict_among(scores: Float[Tensor, "n c"], classes: Int64[Tensor, " s"]) -> Int64[Tensor, " n"]:
    """The most likely of some classes."""
    return classes[scores[:, classes].argmax(1)]
