"""A linear classifier from a handful of images per class."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from mimbench.core import generator
from mimbench.evaluation.base import FeatureProtocol, FeatureSource
from mimbench.evaluation.features.extraction import Features
from mimbench.evaluation.selection import accuracy, check_classes, num_classes

_CHUNK = 65536
_MAX_ITERATIONS = 500


@dataclass
class FewShot(FeatureProtocol):
    """fewshot-v1: logistic regression on 1, 2, 5 and 10 training images per class.

    Features: mean of the patch tokens of the last depth (after the trunk's final norm), evaluation transform.
    Normalization: mean 0 and standard deviation 1 per channel, with the statistics of all of "train", without labels.
    Head: linear with bias; the objective of scikit-learn's LogisticRegression.
    Optimizer: L-BFGS in double precision, until no slope of the mean loss exceeds 1e-5; heads start at 0.
    Draws: five per number of images, the same for every encoder; within a draw a smaller set is part of the larger.
    Grid: C in 0.01, 0.1, 1, 10, 100.
    Selection: for each number of images the C with the best mean accuracy over the draws on "val"; the smaller among
        equals.
    Read once, after selection: "test". Reported: mean and standard deviation (n - 1) over the draws.

    Raises:
        ValueError: A number that is not positive, or (when called) a class with too few training images.
    """

    name = "fewshot-v1"

    shots: tuple[int, ...] | list[int] = (1, 2, 5, 10)
    num_draws: int = 5
    cs: tuple[float, ...] | list[float] = (0.01, 0.1, 1.0, 10.0, 100.0)
    seed: int = 0

    def __post_init__(self) -> None:
        self.shots, self.cs = tuple(sorted(self.shots)), tuple(sorted(float(c) for c in self.cs))
        if not self.shots or not self.cs or min(self.shots[0], self.num_draws) < 1 or self.cs[0] <= 0:
            raise ValueError(
                f"shots, num_draws and cs must be positive, got {self.shots}, {self.num_draws}, {self.cs}."
            )

    def __call__(self, features: FeatureSource) -> dict[str, Any]:
        train, val = features("train"), features("val")
        check_classes(train, val, "val")
        chosen = [self._select(train, val, num) for num in self.shots]
        test = features("test")
        check_classes(train, test, "test")
        labels, x = test.labels.to(test.device), test.at(test.last_depth)
        scores = torch.tensor([[accuracy(head.predict(x), labels) for head in one.heads] for one in chosen])
        deviation = scores.std(1).tolist() if self.num_draws > 1 else [None] * len(self.shots)
        return {
            "accuracy": float(scores[-1].mean()),
            "std": deviation[-1],
            "num_test": len(labels),
            "shots": list(self.shots),
            "accuracies": scores.mean(1).tolist(),
            "stds": deviation,
            "c": [one.c for one in chosen],
            "val_accuracies": [one.val_accuracy for one in chosen],
            "num_draws": self.num_draws,
            "depth": train.last_depth,
        }

    def _select(self, train: Features, val: Features, num: int) -> "_Chosen":
        x, truth = val.at(val.last_depth), val.labels.to(val.device)
        mean, std = _statistics(train)
        sets = [draw_images(train.labels, num, self.seed, draw) for draw in range(self.num_draws)]
        best: _Chosen | None = None
        for c in self.cs:
            heads = [_fit(train, index, c, mean, std) for index in sets]
            score = sum(accuracy(head.predict(x), truth) for head in heads) / len(heads)
            if best is None or score > best.val_accuracy:
                best = _Chosen(c, score, heads)
        assert best is not None
        return best


@dataclass(frozen=True)
class Head:
    """A linear classifier on standardized features."""

    mean: Float[Tensor, " d"]
    std: Float[Tensor, " d"]
    weight: Float[Tensor, "c d"]
    bias: Float[Tensor, " c"]

    def logits(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        return F.linear((x - self.mean).div_(self.std), self.weight, self.bias)

    def predict(self, x: Float[Tensor, "n d"]) -> Int64[Tensor, " n"]:
        return self.logits(x).argmax(1)


@dataclass(frozen=True)
class _Chosen:
    c: float
    val_accuracy: float
    heads: list[Head]


def draw_images(labels: Int64[Tensor, " n"], num: int, seed: int, draw: int) -> Int64[Tensor, " m"]:
    """Places of `num` images of every class, class by class; a larger `num` adds to those of a smaller.

    Raises:
        ValueError: A class has fewer images.
    """
    order = torch.randperm(len(labels), generator=generator(seed, draw))
    order = order[labels[order].argsort(stable=True)]
    counts = labels.bincount()
    if int(counts.min()) < num:
        raise ValueError(
            f"Class {int(counts.argmin())} has {int(counts.min())} training images, fewer than the {num} to be drawn; "
            "choose smaller protocol.fewshot.shots."
        )
    starts = counts.cumsum(0) - counts
    return order[(starts[:, None] + torch.arange(num)).flatten()]


def fit(x: Float[Tensor, "n d"], labels: Int64[Tensor, " n"], num_classes: int, c: float) -> tuple[Tensor, Tensor]:
    """Weight "c d" and bias "c" of scikit-learn's LogisticRegression(C=c), in double precision."""
    x = x.double()
    weight = x.new_zeros(num_classes, x.shape[1]).requires_grad_()
    bias = x.new_zeros(num_classes).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=_MAX_ITERATIONS, tolerance_grad=1e-5, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def objective() -> Any:
        optimizer.zero_grad()
        # Divided by n, or the first step would depend on the number of images.
        loss = F.cross_entropy(F.linear(x, weight, bias), labels) + weight.square().sum() / (2 * c * len(x))
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(objective)
    return weight.detach(), bias.detach()


def _fit(train: Features, index: Tensor, c: float, mean: Tensor, std: Tensor) -> Head:
    x = (train.rows(train.last_depth)[index] - mean) / std
    weight, bias = fit(x, train.labels[index].to(x.device), num_classes(train), c)
    return Head(mean, std, weight.to(x), bias.to(x))


def _statistics(train: Features) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
    """Mean and standard deviation of every channel, read in blocks; constant channels get 1."""
    rows = train.rows(train.last_depth)
    first = second = torch.zeros(rows.width, dtype=torch.float64, device=rows.device)
    for block in rows.blocks(_CHUNK):
        first = first + block.double().sum(0)
    mean = first / len(rows)
    for block in rows.blocks(_CHUNK):
        second = second + (block.double() - mean).square_().sum(0)
    std = (second / len(rows)).sqrt()
    return mean.float(), torch.where(std > 1e-6 * mean.abs(), std, 1).float()
