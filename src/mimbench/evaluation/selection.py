"""Choose on the validation split, then read the test split once."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from jaxtyping import Int64
from torch import Tensor

from mimbench.evaluation.base import FeatureSource
from mimbench.evaluation.features import Features


@dataclass(frozen=True)
class Selected:
    """A classifier that needs no further decision.

    Attributes:
        setting: The chosen hyper-parameters by name.
        val_accuracy: Their accuracy on the validation split.
        predict: From features "q d" to classes "q".
    """

    setting: dict[str, Any]
    val_accuracy: float
    predict: Callable[[Tensor], Tensor]


# From train, val and a depth. There is no third split to look at.
Select = Callable[[Features, Features, int], Selected]


def measure(select: Select, features: FeatureSource, depths: Collection[int] | None = None) -> list[dict[str, Any]]:
    """Test accuracy and chosen hyper-parameters at each depth, the last one by default.

    Raises:
        ValueError: Labels are missing, or a class has no training images.
    """
    train, val = features("train"), features("val")
    check_classes(train, val, "val")
    depths = [train.last_depth] if depths is None else depths
    selected = {depth: select(train, val, depth) for depth in depths}
    test = features("test")
    check_classes(train, test, "test")
    labels = test.labels.to(test.device)
    return [
        {
            "accuracy": accuracy(chosen.predict(test.at(depth)), labels),
            "num_test": len(labels),
            **chosen.setting,
            "val_accuracy": chosen.val_accuracy,
            "depth": depth,
        }
        for depth, chosen in selected.items()
    ]


def accuracy(predicted: Int64[Tensor, " n"], labels: Int64[Tensor, " n"]) -> float:
    """Fraction of images that got their class."""
    return int((predicted == labels).sum()) / len(labels)


def num_classes(train: Features) -> int:
    """Classes are 0 up to the largest training label."""
    return int(train.labels.max()) + 1


def check_classes(train: Features, other: Features, split: str) -> None:
    """Raises ValueError unless all images have labels and every class has training images."""
    check_labels(train.labels, "train")
    check_labels(other.labels, split)
    count = train.labels.bincount(minlength=int(other.labels.max()) + 1)
    if not count.all():
        empty = (count == 0).nonzero().flatten().tolist()
        raise ValueError(f"Classes {empty} have no training images; add some or leave these classes out of {split}.")


def check_labels(labels: Int64[Tensor, " n"], split: str) -> None:
    """Raises ValueError for a split that is empty or has images without a label."""
    if not len(labels):
        raise ValueError(f"The {split} split is empty; kNN and probes need labelled images in train, val and test.")
    if labels.min() < 0:
        raise ValueError(
            f"{int((labels < 0).sum())} of {len(labels)} images in {split} have no label, and kNN and probes need "
            "labels; choose another data source, or leave out these protocols and callbacks."
        )
