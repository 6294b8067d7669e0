"""Linear classifiers trained in parallel with several learning rates."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mimbench.evaluation.features.extraction import Rows
from mimbench.evaluation.probes.whitening import Whitening

_CHUNK = 4096  # images per matrix of logits
_RESIDENT = 2**27  # values of all whitened inputs that are held in memory: 512 MiB in fp32


@dataclass(frozen=True)
class Whitened:
    """Rows that are whitened when they are read."""

    rows: Rows
    whitening: Whitening

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Int64[Tensor, " b"]) -> Float[Tensor, "b d"]:
        return self.whitening(self.rows[index])


Inputs = Float[Tensor, "n _"] | Whitened
"""Features of images as rows that are read by index."""


def whitened(rows: Sequence[Rows], whitenings: Sequence[Whitening]) -> list[Inputs]:
    """Whitened inputs of `train_heads`, in memory if they are small enough."""
    pairs = list(zip(rows, whitenings, strict=True))
    if sum(len(part) * part.width for part in rows) > _RESIDENT:
        return [Whitened(part, whitening) for part, whitening in pairs]
    return [whitening(part[:]) for part, whitening in pairs]


@dataclass(frozen=True)
class Heads:
    """Linear classifiers for several learning rates; dimension g is the learning rate, c the class."""

    weight: Float[Tensor, "d g c"]
    bias: Float[Tensor, "g c"]

    def logits(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b g c"]:
        return torch.addmm(self.bias.flatten(), x, self.weight.flatten(1)).unflatten(1, self.bias.shape)

    def predict(self, x: Float[Tensor, "n d"]) -> Int64[Tensor, "n g"]:
        """The most likely class according to each head."""
        return torch.cat([self.logits(chunk).argmax(2) for chunk in x.split(_CHUNK)])

    def only(self, g: int) -> "Heads":
        """The head of one learning rate."""
        return Heads(self.weight[:, [g]], self.bias[[g]])


@torch.no_grad()
def train_heads(
    inputs: Sequence[Inputs],
    labels: Int64[Tensor, " n"],
    num_classes: int,
    lrs: Sequence[float],
    epochs: int,
    batch_size: int,
    decays: Sequence[Float[Tensor, " _"]],
    generator: torch.Generator,
) -> list[Heads]:
    """Trains logistic regressions on several inputs with several learning rates, in one pass per epoch.

    All heads use the same batches, and no head depends on the others.

    Args:
        inputs: Features of the same images, such as those of several depths, of any widths.
        decays: Weight decay per feature for each input, as part of the loss; biases have none.
        generator: A generator on the CPU, which determines the order of the images.
    """
    training = [_Training(decay, num_classes, lrs) for decay in decays]
    device = decays[0].device
    total = epochs * math.ceil(len(labels) / batch_size)
    for step, index in enumerate(_batches(len(labels), epochs, batch_size, generator)):
        share = 0.5 * (1 + math.cos(math.pi * step / total))
        truth = labels[index.to(labels.device)].to(device)
        for rows, heads in zip(inputs, training, strict=True):
            heads.step(_fetch(rows, index), truth, share)
    return [heads.heads for heads in training]


def _fetch(rows: Inputs, index: Tensor) -> Tensor:
    return rows[index.to(rows.device) if isinstance(rows, Tensor) else index]


def _batches(length: int, epochs: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    for _ in range(epochs):
        yield from torch.randperm(length, generator=generator).split(batch_size)


class _Training:
    """SGD with momentum on the heads of one input."""

    def __init__(self, decay: Float[Tensor, " d"], num_classes: int, lrs: Sequence[float]):
        self.decay, self.peak = decay[:, None, None], decay.new_tensor(lrs)[:, None]
        shape = len(lrs), num_classes
        self.heads = Heads(decay.new_zeros(len(decay), *shape), decay.new_zeros(*shape))
        self.momentum = Heads(torch.zeros_like(self.heads.weight), torch.zeros_like(self.heads.bias))

    def step(self, batch: Float[Tensor, "b d"], labels: Int64[Tensor, " b"], share: float) -> None:
        """One step with the fraction `share` of the peak learning rates."""
        heads, momentum = self.heads, self.momentum
        # The gradient of the cross-entropy with respect to the logits, in closed form.
        logit_gradient = heads.logits(batch).softmax(2)
        logit_gradient[torch.arange(len(batch), device=batch.device), :, labels] -= 1
        logit_gradient /= len(batch)
        gradient = (batch.T @ logit_gradient.flatten(1)).view_as(heads.weight).addcmul_(heads.weight, self.decay)
        heads.weight.sub_(momentum.weight.mul_(0.9).add_(gradient) * (self.peak * share))
        heads.bias.sub_(momentum.bias.mul_(0.9).add_(logit_gradient.sum(0)) * (self.peak * share))
