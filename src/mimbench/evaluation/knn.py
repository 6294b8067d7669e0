"""Nearest neighbours in the space of features."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from mimbench.evaluation.base import FeatureSource, Protocol
from mimbench.evaluation.features import Features
from mimbench.evaluation.selection import Selected, accuracy, measure, num_classes

_MAX_ENTRIES = 2**25  # of a matrix of similarities or votes: 128 MiB in fp32


class KNN(Protocol):
    """knn-v1: the majority among the training images that are nearest in cosine similarity.

    Features: mean of the patch tokens of the last depth (after the trunk's final norm), evaluation transform.
    Normalisation: L2 per image, nothing else, as in DINO's released kNN; fp32.
    Head: majority of k neighbours, unweighted; see `knn_predict` for ties.
    Grid: k in 1, 5, 10, 20, 50, without those beyond the number of training images.
    Selection: accuracy on "val", the smaller k among equals. Neighbours always come from "train" alone.
    Read once, after selection: "test".

    Raises:
        ValueError: No k, k below 1, or (when called) every k exceeds the number of training images.
    """

    name = "knn-v1"

    def __init__(self, ks: Sequence[int] = (1, 5, 10, 20, 50)):
        self.ks = tuple(sorted(ks))
        if not self.ks or self.ks[0] < 1:
            raise ValueError(f"ks must name at least one k, each at least 1, got {list(ks)}.")

    def __call__(self, features: FeatureSource) -> dict[str, Any]:
        return measure(self.select, features)[0]

    def select(self, train: Features, val: Features, depth: int) -> Selected:
        """The best k at one depth."""
        labels, classes = train.labels.to(train.device), num_classes(train)
        ks = [k for k in self.ks if k <= len(labels)] or list(self.ks[:1])
        neighbours = labels[nearest(train.at(depth), val.at(depth), ks[-1])]
        truth = val.labels.to(val.device)
        scores = {k: accuracy(vote(neighbours[:, :k], classes), truth) for k in ks}
        k = max(scores, key=lambda k: scores[k])
        return Selected({"k": k}, scores[k], lambda queries: knn_predict(train.at(depth), labels, queries, k, classes))


def knn_predict(
    train: Float[Tensor, "n d"],
    train_labels: Int64[Tensor, " n"],
    queries: Float[Tensor, "q d"],
    k: int,
    num_classes: int,
) -> Int64[Tensor, " q"]:
    """Majority class of the k training images with the highest cosine similarity.

    Between classes with equally many votes the smallest label wins. Which of several equally similar images counts as
    nearer is not defined. Both as in scikit-learn.

    Raises:
        ValueError: There are fewer than k training images.
    """
    return vote(train_labels[nearest(train, queries, k)], num_classes)


def nearest(train: Float[Tensor, "n d"], queries: Float[Tensor, "q d"], k: int) -> Int64[Tensor, "q k"]:
    """Rows of `train` by descending cosine similarity, in bounded memory.

    Raises:
        ValueError: There are fewer than k training images.
    """
    if k > len(train):
        raise ValueError(f"kNN with k = {k} needs {k} training images, got {len(train)}; choose a smaller k.")
    directions = F.normalize(train, dim=1).T
    chunks = F.normalize(queries, dim=1).split(max(1, _MAX_ENTRIES // len(train)))
    return torch.cat([(chunk @ directions).topk(k).indices for chunk in chunks])


def vote(labels: Int64[Tensor, "q k"], num_classes: int) -> Int64[Tensor, " q"]:
    """The most frequent label of every row, the smallest among equals."""
    counts = (
        chunk.new_zeros(len(chunk), num_classes).scatter_add_(1, chunk, torch.ones_like(chunk))
        for chunk in labels.split(max(1, _MAX_ENTRIES // num_classes))
    )
    return torch.cat([count.argmax(1) for count in counts])
