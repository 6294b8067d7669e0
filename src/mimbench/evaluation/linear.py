"""A linear classifier on frozen features."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mimbench.core import generator
from mimbench.evaluation.base import FeatureSource, Protocol
from mimbench.evaluation.features import Features
from mimbench.evaluation.selection import Selected, accuracy, measure, num_classes
from mimbench.evaluation.whitening import Whitening

_CHUNK = 4096  # images per matrix of logits


class Linear(Protocol):
    """linear-v1: multinomial logistic regression, trained by SGD at all learning rates at once.

    Features: mean of the patch tokens of the last depth (after the trunk's final norm), evaluation transform.
    Normalisation: mean 0 and standard deviation 1 per channel, with the statistics of "train".
    Head: linear with bias; cross-entropy plus |weight|^2 / 2n for n training images, which is the objective of
        scikit-learn's LogisticRegression with C = 1.
    Optimiser: SGD in whitened coordinates (see `Whitening`), momentum 0.9, cosine to 0, heads start at 0, the order
        of images from `seed`; 50 epochs at batch 256, or 1,000 steps where these are more. No early stopping: the head
        after the last step counts.
    Grid: learning rates 0.05, 0.1, 0.2, 0.5, 1, 2.
    Selection: accuracy on "val", the larger rate among equals, as it has converged further.
    Read once, after selection: "test".

    Raises:
        ValueError: No learning rate, or a rate, epochs or batch_size that is not positive.
    """

    name = "linear-v1"

    def __init__(
        self,
        lrs: Sequence[float] = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0),
        epochs: int = 50,
        min_steps: int = 1000,
        batch_size: int = 256,
        seed: int = 0,
    ):
        self.lrs = tuple(sorted(float(lr) for lr in lrs))
        self.epochs, self.min_steps, self.batch_size, self.seed = epochs, min_steps, batch_size, seed
        if not self.lrs or self.lrs[0] <= 0 or epochs < 1 or batch_size < 1:
            raise ValueError(f"lrs, epochs and batch_size must be positive, got {list(lrs)}, {epochs}, {batch_size}.")

    def __call__(self, features: FeatureSource) -> dict[str, Any]:
        return measure(self.select, features)[0]

    def select(self, train: Features, val: Features, depth: int) -> Selected:
        """The best head at one depth."""
        x, labels = train.at(depth), train.labels.to(train.device)
        whitening = Whitening.of(x, ridge=1 / len(x))
        heads = train_heads(
            whitening(x),
            labels,
            num_classes(train),
            self.lrs,
            max(self.epochs, math.ceil(self.min_steps / math.ceil(len(x) / self.batch_size))),
            self.batch_size,
            decay=whitening.decay,
            generator=generator(self.seed),
        )
        truth = val.labels.to(val.device)
        predicted = heads.predict(whitening(val.at(depth)))
        scores = [accuracy(column, truth) for column in predicted.unbind(1)]
        best = max(range(len(scores)), key=lambda g: (scores[g], g))
        chosen = Heads(heads.weight[:, [best]], heads.bias[[best]])
        return Selected(
            {"lr": self.lrs[best]}, scores[best], lambda queries: chosen.predict(whitening(queries)).squeeze(1)
        )


@dataclass(frozen=True)
class Heads:
    """Linear classifiers side by side; g counts the learning rates, c the classes."""

    weight: Float[Tensor, "d g c"]
    bias: Float[Tensor, "g c"]

    def logits(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b g c"]:
        return torch.addmm(self.bias.flatten(), x, self.weight.flatten(1)).unflatten(1, self.bias.shape)

    def predict(self, x: Float[Tensor, "n d"]) -> Int64[Tensor, "n g"]:
        """The most likely class by each head."""
        return torch.cat([self.logits(chunk).argmax(2) for chunk in x.split(_CHUNK)])


@torch.no_grad()
def train_heads(
    x: Float[Tensor, "n d"],
    labels: Int64[Tensor, " n"],
    num_classes: int,
    lrs: Sequence[float],
    epochs: int,
    batch_size: int,
    decay: Float[Tensor, " d"],
    generator: torch.Generator,
) -> Heads:
    """Logistic regressions at several learning rates, in one pass per epoch.

    All heads see the same batches, so a head does not depend on the others in the grid.

    Args:
        decay: Weight decay per feature, as part of the loss; biases are not decayed.
        generator: On the CPU; decides the order of the images.
    """
    heads = Heads(x.new_zeros(x.shape[1], len(lrs), num_classes), x.new_zeros(len(lrs), num_classes))
    weight_momentum, bias_momentum = torch.zeros_like(heads.weight), torch.zeros_like(heads.bias)
    peak, rows = x.new_tensor(lrs)[:, None], torch.arange(batch_size, device=x.device)
    step, total = 0, epochs * math.ceil(len(x) / batch_size)
    for _ in range(epochs):
        for index in torch.randperm(len(x), generator=generator).to(x.device).split(batch_size):
            batch = x[index]
            # The gradient of the cross-entropy with respect to the logits, in closed form.
            slope = heads.logits(batch).softmax(2)
            slope[rows[: len(batch)], :, labels[index]] -= 1
            slope /= len(batch)
            gradient = (batch.T @ slope.flatten(1)).view_as(heads.weight).addcmul_(heads.weight, decay[:, None, None])
            rate = peak * (0.5 * (1 + math.cos(math.pi * step / total)))
            heads.weight.sub_(weight_momentum.mul_(0.9).add_(gradient) * rate)
            heads.bias.sub_(bias_momentum.mul_(0.9).add_(slope.sum(0)) * rate)
            step += 1
    return heads
