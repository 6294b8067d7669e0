"""Selection on the validation split, followed by one reading of the test split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Int64
from torch import Tensor

from mimbench.evaluation.base import FeatureSource
from mimbench.evaluation.features.extraction import FeatureKind, Features
from mimbench.evaluation.probes.labels import check_labels


@dataclass(frozen=True)
class Selected:
    """A classifier with selected hyper-parameters.

    Attributes:
        setting: The selected hyper-parameters by name.
        val_accuracy: Accuracy on the validation split.
        predict: Maps features "q d" to classes "q".
        kind: The kind of features that it reads.
        scores: Maps features "q d" to a score per class "q c"; None if there are no scores.
    """

    setting: dict[str, Any]
    val_accuracy: float
    predict: Callable[[Tensor], Tensor]
    kind: FeatureKind = "patches"
    scores: Callable[[Tensor], Tensor] | None = None


# Functions of train, val and one or several depths. They cannot read the test split.
Select = Callable[[Features, Features, int], Selected]
SelectAll = Callable[[Features, Features, Sequence[int]], dict[int, Selected]]


def measure(select: Select, features: FeatureSource, depths: Sequence[int] | None = None) -> list[dict[str, Any]]:
    """Test accuracy, correct test images and selected hyper-parameters at each depth, by default the last one.

    Raises:
        ValueError: Labels are missing, or a class has no training images.
    """
    return measure_all([lambda train, val, wanted: {d: select(train, val, d) for d in wanted}], features, depths)[0]


def measure_all(
    selections: Sequence[SelectAll], features: FeatureSource, depths: Sequence[int] | None = None
) -> list[list[dict[str, Any]]]:
    """`measure` for several selections over all depths; the test split is read after the last selection."""
    train, val = features("train"), features("val")
    check_classes(train, val, "val")
    wanted = [train.last_depth] if depths is None else depths
    selected = [select(train, val, wanted) for select in selections]
    test = features("test")
    check_classes(train, test, "test")
    return [[_measure_test(chosen, test, depth) for depth, chosen in by_depth.items()] for by_depth in selected]


def _measure_test(chosen: Selected, test: Features, depth: int) -> dict[str, Any]:
    labels = test.labels.to(test.device)
    predicted = chosen.predict(test.at(depth, chosen.kind))
    return {
        "accuracy": accuracy(predicted, labels),
        "correct": (predicted == labels).tolist(),
        "num_test": len(labels),
        **chosen.setting,
        "val_accuracy": chosen.val_accuracy,
        "depth": depth,
    }


def accuracy(predicted: Int64[Tensor, " n"], labels: Int64[Tensor, " n"]) -> float:
    """Fraction of correctly classified images."""
    return int((predicted == labels).sum()) / len(labels)


def num_classes(train: Features) -> int:
    """Number of classes: the largest training label plus 1."""
    return int(train.labels.max()) + 1


def check_classes(train: Features, other: Features, split: str) -> None:
    """Raises ValueError unless all images have labels and every class has training images."""
    check_labels(train.labels, "train")
    check_labels(other.labels, split)
    count = train.labels.bincount(minlength=int(other.labels.max()) + 1)
    if not count.all():
        empty = (count == 0).nonzero().flatten().tolist()
        raise ValueError(f"Classes {empty} have no training images; add some or leave these classes out of {split}.")
