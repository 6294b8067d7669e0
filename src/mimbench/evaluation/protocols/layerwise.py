"""Accuracy at every depth."""

from dataclasses import dataclass, field
from typing import Any

from mimbench.evaluation.base import FeatureProtocol, FeatureSource
from mimbench.evaluation.protocols.knn import KNN
from mimbench.evaluation.protocols.linear import Linear
from mimbench.evaluation.selection import measure_all


@dataclass
class Layerwise(FeatureProtocol):
    """layerwise-v1: knn-v1 and linear-v1 at every depth from 0, the patch embedding, to the output.

    Features: mean of the patch tokens of each depth, from the same pass; only the last has the trunk's final norm.
    Everything else as in `KNN` and `Linear`, whose results it repeats at the last depth; k and learning rate are
    selected on "val" for each depth separately. The heads of all depths are trained in the same pass.
    """

    name = "layerwise-v1"

    knn: KNN = field(default_factory=KNN)
    linear: Linear = field(default_factory=Linear)

    def reads(self, depth: int) -> set[str]:
        return {name for d in range(depth + 1) for name in self.knn.reads(d) | self.linear.reads(d)}

    def __call__(self, features: FeatureSource) -> dict[str, Any]:
        depths = sorted(features("train").patches)
        knn, linear = measure_all([self.knn.select_all, self.linear.select_all], features, depths)
        return {
            "depths": depths,
            "knn": [result["accuracy"] for result in knn],
            "linear": [result["accuracy"] for result in linear],
            "num_test": knn[0]["num_test"],
            "k": [result["k"] for result in knn],
            "lr": [result["lr"] for result in linear],
        }
