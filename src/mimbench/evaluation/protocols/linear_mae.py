"""The linear probe of MAE's released code."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from timm.optim.lars import Lars
from torch import Tensor, nn
from torch.nn.utils import skip_init

from mimbench.core import generator
from mimbench.data import Batch, ImageDataModule, TrainLoader
from mimbench.data.loader import TrainSet
from mimbench.data.sampler import EpochSampler
from mimbench.data.source import Source, SplitName
from mimbench.data.transforms import TrainTransform
from mimbench.encoders import Encoder
from mimbench.evaluation.base import ImageProtocol, Subject
from mimbench.evaluation.probes.resuming import Resume
from mimbench.evaluation.selection import check_labels
from mimbench.optim import warmup_cosine


@dataclass
class LinearMAE(ImageProtocol):
    """linear-mae: the released recipe of MAE's linear probe (main_linprobe.py).

    Features: class token of the last depth after the trunk's final norm; `pooling="avg"`: mean of the patch tokens. A
        trunk without a class token has the mean. The trunk is in evaluation mode.
    Augmentation: RandomResizedCrop (area 0.08 to 1, bicubic) and horizontal flips; a source that limits crops or
        forbids flips (digits) does so here too.
    Head: BatchNorm1d without affine parameters (eps 1e-6), statistics of 512 images at a time as on each of the
        released code's GPUs; linear, weight from a normal of deviation 0.01 (cut at 2), bias 0.
    Optimizer: LARS (momentum 0.9, trust 0.001 on the weight, none on the bias; timm's), rate 0.1 per 256 images, weight
        decay 0, batch 16,384 (or all of a smaller training set), 90 epochs, of these 10 of linear warm-up, cosine to 0
        at every step. For ViT-L and H the release has 50 epochs: `epochs=50`.
    Grid and selection: none; the head after the last epoch counts. Accuracy on "val" is reported beside it.
    Read once, at the end: "test", under the evaluation transform.
    Deliberate differences: bf16 instead of fp16 where the trainer's precision is bf16; one device, with the running
        statistics of the normalization updated by every 512 images.

    It encodes every training image 90 times where linear-v1 does so once, and small data make few steps at this batch.
    """

    name = "linear-mae"

    pooling: str = "token"
    epochs: int = 90
    batch_size: int = 16384
    base_lr: float = 0.1
    warmup_epochs: float = 10
    norm_size: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        if self.pooling not in ("token", "avg"):
            raise ValueError(f"pooling is token or avg, got {self.pooling!r}.")
        if min(self.epochs, self.batch_size, self.norm_size) < 1 or self.base_lr <= 0:
            raise ValueError("epochs, batch_size, norm_size and base_lr must be positive.")

    def __call__(self, subject: Subject) -> dict[str, Any]:
        data = subject.datamodule
        for split in ("train", "val"):
            check_labels(data.split(split).labels, split)
        probe = _Probe(subject.encoder.eval().requires_grad_(False), data.num_classes, self, subject)
        loader, batch_size = self._loader(data)
        probe.fit(loader, batch_size)
        val, test = probe.correct(data, "val"), probe.correct(data, "test")
        return {
            "accuracy": sum(test) / len(test),
            "correct": test,
            "num_test": len(test),
            "val_accuracy": sum(val) / len(val),
            "depth": subject.encoder.depth,
            "batch_size": batch_size,
            "lr": self.base_lr * batch_size / 256,
        }

    def _loader(self, data: ImageDataModule) -> tuple[TrainLoader, int]:
        scale = (0.08, 1.0) if data.source.crop_scale == Source.crop_scale else data.source.crop_scale
        dataset = TrainSet(data.split("train"), TrainTransform(data.image_size, scale, data.source.flip, self.seed))
        batch = min(self.batch_size, len(dataset))
        micro = max(1, batch // self.norm_size)
        batch = batch // micro * micro
        sampler = EpochSampler(dataset, batch, self.seed, accumulate=micro)
        return TrainLoader(dataset, sampler, num_workers=data.num_workers), batch


class _Probe:
    """The head, its optimizer and what they are trained with."""

    def __init__(self, encoder: Encoder, num_classes: int, recipe: LinearMAE, subject: Subject):
        self.encoder, self.recipe, self.device = encoder, recipe, subject.device
        self.token = recipe.pooling == "token" and getattr(encoder.trunk, "cls_token", None) is not None
        width = encoder.taps[-1].width
        self.head = released_head(width, num_classes, recipe.seed).to(self.device)
        self.optimizer = lars(self.head)
        self.bf16 = "bf16" in str(subject.trainer.get("precision", ""))
        self.resume = Resume(subject.directory, encoder, f"{recipe} {num_classes}")

    def fit(self, loader: TrainLoader, batch_size: int) -> None:
        state = self.resume.load()
        first = 0 if state is None else state["epoch"]
        if state is not None:
            self.head.load_state_dict(state["head"])
            self.optimizer.load_state_dict(state["optimizer"])
        for epoch in range(first, self.recipe.epochs):
            loader.sampler.set_epoch(epoch)
            self._epoch(loader, epoch, batch_size)
            state = {"head": self.head.state_dict(), "optimizer": self.optimizer.state_dict()}
            self.resume.save(state | {"epoch": epoch + 1})
        self.resume.forget()

    def _epoch(self, loader: TrainLoader, epoch: int, batch_size: int) -> None:
        self.head.train()
        micro, steps = loader.sampler.accumulate, len(loader) // loader.sampler.accumulate
        peak = self.recipe.base_lr * batch_size / 256
        for i, batch in enumerate(loader):
            assert isinstance(batch, Batch)
            loss = F.cross_entropy(self.head(self._features(batch)), batch.labels.to(self.device)) / micro
            loss.backward()
            if (i + 1) % micro == 0:
                step, total = epoch * steps + i // micro, self.recipe.epochs * steps
                rate = peak * warmup_cosine(step, total, self.recipe.warmup_epochs * steps)
                for group in self.optimizer.param_groups:
                    group["lr"] = rate
                self.optimizer.step()
                self.optimizer.zero_grad()

    def correct(self, data: ImageDataModule, split: SplitName) -> list[bool]:
        """Which images of a split get their class."""
        check_labels(data.split(split).labels, split)
        self.head.eval()
        with torch.no_grad():
            right = [self.head(self._features(batch)).argmax(1).cpu() == batch.labels for batch in data.plain(split)]
        return torch.cat(right).tolist()

    @torch.no_grad()
    def _features(self, batch: Batch) -> Float[Tensor, "b d"]:
        with self._precision():
            tokens = self.encoder(batch.images.to(self.device), [self.encoder.depth])[self.encoder.depth]
        return tokens.prefix[:, 0].float() if self.token else tokens.patches.float().mean(1)

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()


def released_head(width: int, num_classes: int, seed: int) -> nn.Sequential:
    """Normalization and linear layer as MAE's linear probe starts them."""
    linear = skip_init(nn.Linear, width, num_classes)
    assert isinstance(linear, nn.Linear)
    nn.init.trunc_normal_(linear.weight, std=0.01, generator=generator(seed))
    nn.init.zeros_(linear.bias)
    return nn.Sequential(nn.BatchNorm1d(width, affine=False, eps=1e-6), linear)


def lars(head: nn.Module) -> Lars:
    """LARS as in MAE: the trust ratio scales the step of matrices, never of vectors, also without weight decay."""
    parameters = list(head.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "always_adapt": True},
        {"params": [p for p in parameters if p.ndim <= 1], "always_adapt": False},
    ]
    settings: Any = {"momentum": 0.9, "weight_decay": 0.0}  # timm types them as int
    return Lars(groups, lr=0.0, trust_coeff=0.001, eps=0.0, **settings)
