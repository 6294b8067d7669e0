"""Attentive probing: a linear classifier on learned attention pooling."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils import skip_init

from mimbench.core import generator
from mimbench.data import ImageDataModule
from mimbench.encoders import Encoder
from mimbench.evaluation.base import ImageProtocol, Subject
from mimbench.evaluation.features.token_reader import TokenReader
from mimbench.evaluation.probes.resuming import Resume
from mimbench.evaluation.selection import check_labels

_WIDTH_OF_A_HEAD = 64


@dataclass
class Attentive(ImageProtocol):
    """attentive-v1: a linear classifier on attentive pooling with one learned query.

    Features: all patch tokens of the last depth (after the trunk's final norm), evaluation transform, encoder frozen.
    Normalization: LayerNorm per token without learned scale.
    Head: cross-attention of one learned query with the tokens (keys and values are linear maps of them, one attention
        head per 64 channels), output projection, LayerNorm without learned scale, linear.
    Optimizer: AdamW (0.9, 0.999), weight decay 0.01 on matrices, cosine to 0, no warm-up; PyTorch's default
        initialization from `seed`, query normal with deviation 0.02; 20 epochs at batch 256, or 1,000 steps if these
        are more. The head after the last step is evaluated.
    Grid: learning rates 1e-4, 3e-4, 1e-3, 3e-3, trained in parallel on the same batches.
    Selection: accuracy on "val"; the smallest rate among equals.
    Read once, after selection: "test".

    Tokens stay in memory if they fit (`resident_gib`); otherwise the encoder computes them in every epoch.

    Raises:
        ValueError: A parameter is not positive, or (when called) images have no labels.
    """

    name = "attentive-v1"

    lrs: tuple[float, ...] | list[float] = (1e-4, 3e-4, 1e-3, 3e-3)
    epochs: int = 20
    min_steps: int = 1000
    batch_size: int = 256
    weight_decay: float = 0.01
    seed: int = 0
    resident_gib: float = field(default=2.0, metadata={"card": False})

    def __post_init__(self) -> None:
        self.lrs = tuple(sorted(float(lr) for lr in self.lrs))
        if not self.lrs or self.lrs[0] <= 0 or min(self.epochs, self.batch_size) < 1:
            raise ValueError(
                f"lrs, epochs and batch_size must be positive, got {self.lrs}, {self.epochs}, {self.batch_size}."
            )

    def __call__(self, subject: Subject) -> dict[str, Any]:
        data, encoder = subject.datamodule, subject.encoder.eval().requires_grad_(False)
        for split in ("train", "val"):
            check_labels(data.split(split).labels, split)
        pools = self._fit(subject, encoder, data)
        tokens = TokenReader(encoder, data, "val", subject.device, self.resident_gib)
        scores = correct(pools, tokens, self.batch_size).double().mean(1).tolist()
        best = max(range(len(scores)), key=lambda i: (scores[i], -i))
        check_labels(data.split("test").labels, "test")
        test = TokenReader(encoder, data, "test", subject.device, 0)
        right = correct([pools[best]], test, self.batch_size)[0]
        return {
            "accuracy": int(right.sum()) / len(right),
            "correct": right.tolist(),
            "num_test": len(test),
            "lr": self.lrs[best],
            "val_accuracy": scores[best],
            "depth": encoder.depth,
        }

    def _fit(self, subject: Subject, encoder: Encoder, data: ImageDataModule) -> Sequence["AttentivePool"]:
        tokens = TokenReader(encoder, data, "train", subject.device, self.resident_gib)
        steps_per_epoch = math.ceil(len(tokens) / self.batch_size)
        epochs = max(self.epochs, math.ceil(self.min_steps / steps_per_epoch))
        pools = [
            AttentivePool(encoder.taps[-1].width, data.num_classes, self.seed).to(subject.device) for _ in self.lrs
        ]
        optimizers = [self._optimizer(pool, lr) for pool, lr in zip(pools, self.lrs, strict=True)]
        resume = Resume(subject.directory, encoder, f"{self} {data.num_classes}")
        first = _restore(resume, pools, optimizers)
        for epoch in range(first, epochs):
            order = torch.randperm(len(tokens), generator=generator(self.seed, epoch))
            for i, (batch, labels) in enumerate(tokens(order, self.batch_size)):
                share = 0.5 * (1 + math.cos(math.pi * (epoch * steps_per_epoch + i) / (epochs * steps_per_epoch)))
                for pool, optimizer, lr in zip(pools, optimizers, self.lrs, strict=True):
                    for group in optimizer.param_groups:
                        group["lr"] = lr * share
                    optimizer.zero_grad()
                    F.cross_entropy(pool(batch), labels).backward()
                    optimizer.step()
            if tokens.rows is None:  # epochs that run the encoder are long
                states = [part.state_dict() for part in (*pools, *optimizers)]
                resume.save({"epoch": epoch + 1, "states": states})
        resume.forget()
        return pools

    def _optimizer(self, pool: nn.Module, lr: float) -> torch.optim.AdamW:
        matrices = [p for p in pool.parameters() if p.ndim > 1]
        vectors = [p for p in pool.parameters() if p.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": self.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=lr)


class AttentivePool(nn.Module):
    """Cross-attention of one learned query to the tokens, followed by a linear classifier."""

    def __init__(self, width: int, num_classes: int, seed: int = 0):
        super().__init__()
        self.num_heads = max(1, width // _WIDTH_OF_A_HEAD) if width % max(1, width // _WIDTH_OF_A_HEAD) == 0 else 1
        self.query = nn.Parameter(torch.empty(width))
        self.kv, self.out = skip_init(nn.Linear, width, 2 * width), skip_init(nn.Linear, width, width)
        self.head = skip_init(nn.Linear, width, num_classes)
        self._draw(generator(seed))

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b c"]:
        b, _, d = tokens.shape
        tokens = F.layer_norm(tokens, (d,))
        key, value = self.kv(tokens).unflatten(2, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        query = self.query.view(1, self.num_heads, 1, -1).expand(b, -1, -1, -1)
        pooled = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(1)
        return self.head(F.layer_norm(self.out(pooled), (d,)))

    @torch.no_grad()
    def _draw(self, draws: torch.Generator) -> None:
        nn.init.normal_(self.query, std=0.02, generator=draws)
        for layer in (self.kv, self.out, self.head):
            assert isinstance(layer, nn.Linear)
            bound = layer.in_features**-0.5  # PyTorch's default for a linear layer
            nn.init.uniform_(layer.weight, -bound, bound, generator=draws)
            nn.init.uniform_(layer.bias, -bound, bound, generator=draws)


@torch.no_grad()
def correct(pools: Sequence[AttentivePool], tokens: TokenReader, batch_size: int) -> Bool[Tensor, "p n"]:
    """Whether each head classifies each image of a split correctly."""
    batches = tokens(torch.arange(len(tokens)), batch_size)
    right = [torch.stack([pool(batch).argmax(1) == labels for pool in pools]) for batch, labels in batches]
    return torch.cat(right, dim=1).cpu()


def _restore(resume: Resume, pools: Iterable[nn.Module], optimizers: Iterable[torch.optim.Optimizer]) -> int:
    """Restores heads and optimizers and returns the number of finished epochs."""
    state = resume.load()
    if state is None:
        return 0
    for part, saved in zip((*pools, *optimizers), state["states"], strict=True):
        part.load_state_dict(saved)
    return state["epoch"]
