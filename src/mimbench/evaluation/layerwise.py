"""Accuracy at every depth."""

from typing import Any

from mimbench.evaluation.base import FeatureSource, Protocol
from mimbench.evaluation.knn import KNN
from mimbench.evaluation.linear import Linear
from mimbench.evaluation.selection import measure


class Layerwise(Protocol):
    """layerwise-v1: knn-v1 and linear-v1 at every depth from 0, the patch embedding, to the output.

    Features: mean of the patch tokens of each depth, from the same pass; only the last has the trunk's final norm.
    Everything else as in `KNN` and `Linear`, whose numbers it repeats at the last depth; k and learning rate are
    chosen on "val" for each depth by itself.
    """

    name = "layerwise-v1"

    def __init__(self, knn: KNN | None = None, linear: Linear | None = None):
        self.knn, self.linear = knn or KNN(), linear or Linear()

    def __call__(self, features: FeatureSource) -> dict[str, Any]:
        depths = sorted(features("train").patches)
        knn = measure(self.knn.select, features, depths)
        linear = measure(self.linear.select, features, depths)
        return {
            "depths": depths,
            "knn": [result["accuracy"] for result in knn],
            "linear": [result["accuracy"] for result in linear],
            "num_test": knn[0]["num_test"],
            "k": [result["k"] for result in knn],
            "lr": [result["lr"] for result in linear],
        }
