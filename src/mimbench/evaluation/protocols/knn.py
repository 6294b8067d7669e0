"""k nearest neighbors on features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from mimbench.evaluation.base import FeatureProtocol, FeatureSource
from mimbench.evaluation.features.extraction import Features
from mimbench.evaluation.selection import Selected, accuracy, measure, num_classes

_MAX_ENTRIES = 2**25  # elements of a matrix of similarities or votes: 128 MiB in fp32
_RESIDENT = 2**26  # elements of a block of training features: 256 MiB in fp32


@dataclass
class KNN(FeatureProtocol):
    """knn-v1: majority vote of the training images with the highest cosine similarity.

    Features: mean of the patch tokens of the last depth (after the trunk's final norm), evaluation transform.
    Normalization: L2 per image, as in DINO's released kNN; fp32.
    Head: majority of k neighbors, unweighted; see `knn_predict` for ties.
    Grid: k in 1, 5, 10, 20, 50, without values above the number of training images.
    Selection: accuracy on "val"; the smallest k among equals. Neighbors are always images of "train".
    Read once, after selection: "test".

    Raises:
        ValueError: There is no k, a k is below 1, or (when called) all exceed the number of training images.
    """

    name = "knn-v1"

    ks: tuple[int, ...] | list[int] = (1, 5, 10, 20, 50)

    def __post_init__(self) -> None:
        given, self.ks = self.ks, tuple(sorted(self.ks))
        if not self.ks or self.ks[0] < 1:
            raise ValueError(f"ks must contain at least one k, each at least 1, got {list(given)}.")

    def __call__(self, features: FeatureSource) -> dict[str, Any]:
        return measure(self.select, features)[0]

    def select(self, train: Features, val: Features, depth: int) -> Selected:
        """The best k at one depth."""
        x, labels, classes = train.rows(depth).parts[0], train.labels.to(train.device), num_classes(train)
        ks = [k for k in self.ks if k <= len(labels)] or list(self.ks[:1])
        neighbors = labels[nearest(x, val.at(depth), ks[-1])]
        truth = val.labels.to(val.device)
        scores = {k: accuracy(vote(neighbors[:, :k], classes), truth) for k in ks}
        k = max(scores, key=lambda k: scores[k])
        return Selected({"k": k}, scores[k], lambda queries: knn_predict(x, labels, queries, k, classes))

    def select_all(self, train: Features, val: Features, depths: Sequence[int]) -> dict[int, Selected]:
        """The best k at each of the depths."""
        return {depth: self.select(train, val, depth) for depth in depths}


def knn_predict(
    train: Float[Tensor, "n d"],
    train_labels: Int64[Tensor, " n"],
    queries: Float[Tensor, "q d"],
    k: int,
    num_classes: int,
) -> Int64[Tensor, " q"]:
    """Majority class of the k training images with the highest cosine similarity.

    Among classes with equally many votes the smallest label wins. The order of equally similar images is not defined.
    Both as in scikit-learn.

    Args:
        train: Features, possibly memory-mapped; they are read in blocks and moved to the device of `queries`.

    Raises:
        ValueError: There are fewer than k training images.

    Example:
        >>> train, labels = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), torch.tensor([0, 0, 1])
        >>> knn_predict(train, labels, torch.tensor([[2.0, 0.1], [0.0, 3.0]]), k=1, num_classes=2).tolist()
        [0, 1]
    """
    return vote(train_labels[nearest(train, queries, k)], num_classes)


def nearest(train: Float[Tensor, "n d"], queries: Float[Tensor, "q d"], k: int) -> Int64[Tensor, "q k"]:
    """Rows of `train` by descending cosine similarity, in bounded memory.

    Raises:
        ValueError: There are fewer than k training images.
    """
    if k > len(train):
        raise ValueError(f"kNN with k = {k} needs {k} training images, got {len(train)}; choose a smaller k.")
    directions = F.normalize(queries, dim=1)
    similarity, index = queries.new_empty(len(queries), 0), queries.new_empty(len(queries), 0, dtype=torch.int64)
    for block in torch.arange(len(train)).split(max(k, _RESIDENT // train.shape[1])):
        first, last = int(block[0]), int(block[-1]) + 1
        near, place = _nearest(F.normalize(train[first:last].to(queries.device), dim=1).T, directions, k)
        similarity, index = torch.cat([similarity, near], 1), torch.cat([index, place + first], 1)
        similarity, order = similarity.topk(min(k, similarity.shape[1]))
        index = index.gather(1, order)
    return index


def _nearest(
    block: Float[Tensor, "d m"], queries: Float[Tensor, "q d"], k: int
) -> tuple[Float[Tensor, "q j"], Int64[Tensor, "q j"]]:
    k = min(k, block.shape[1])
    chunks = [(chunk @ block).topk(k) for chunk in queries.split(max(1, _MAX_ENTRIES // block.shape[1]))]
    return torch.cat([chunk.values for chunk in chunks]), torch.cat([chunk.indices for chunk in chunks])


def vote(labels: Int64[Tensor, "q k"], num_classes: int) -> Int64[Tensor, " q"]:
    """The most frequent label of each row; the smallest one among equals."""
    counts = (
        chunk.new_zeros(len(chunk), num_classes).scatter_add_(1, chunk, torch.ones_like(chunk))
        for chunk in labels.split(max(1, _MAX_ENTRIES // num_classes))
    )
    return torch.cat([count.argmax(1) for count in counts])
