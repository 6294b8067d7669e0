"""How the papers optimise."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mimbench.optim.schedule import warmup_cosine


@dataclass(frozen=True)
class Recipe:
    """AdamW with warm-up and cosine, updated every step (MAE, Table 8; the other three papers follow it).

    Attributes:
        base_lr: Learning rate per 256 images of effective batch.
        warmup_epochs: Epochs of linear warm-up, fractions allowed.
        min_lr: Final learning rate, absolute.
        weight_decay: Applied to matrices; never to vectors, biases and norms.
        betas: AdamW's moments.
        undecayed: Further names without weight decay: parameters whose last name part is among them.
        fused: Whether to use PyTorch's fused kernel.
    """

    base_lr: float = 1.5e-4
    warmup_epochs: int | float = 40
    min_lr: float = 0.0
    weight_decay: float = 0.05
    betas: Sequence[float] = (0.9, 0.95)
    undecayed: Sequence[str] = ()
    fused: bool = True

    def __post_init__(self) -> None:
        for name in ("base_lr", "warmup_epochs", "min_lr", "weight_decay"):
            if type(value := getattr(self, name)) not in (int, float) or not 0 <= value < math.inf:
                raise ValueError(f"optim.{name} is a number of at least 0, got {value!r}.")
        betas: Any = self.betas
        if isinstance(betas, int | float) or len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"optim.betas are two numbers from 0 to below 1, got {betas!r}.")

    def peak_lr(self, batch_size: int) -> float:
        """The linear scaling rule for an effective batch.

        Example:
            >>> round(Recipe(base_lr=1.5e-4).peak_lr(4096), 6)
            0.0024
        """
        return self.base_lr * batch_size / 256

    def optimizer(self, module: nn.Module, batch_size: int) -> torch.optim.AdamW:
        """AdamW over the trainable parameters, in two groups."""
        return torch.optim.AdamW(
            parameter_groups(module, self.weight_decay, self.undecayed),
            lr=self.peak_lr(batch_size),
            betas=(self.betas[0], self.betas[1]),
            fused=self.fused,
        )

    def scheduler(
        self, optimizer: torch.optim.Optimizer, total_steps: int | Callable[[], float], steps_per_epoch: int
    ) -> torch.optim.lr_scheduler.LambdaLR:
        """The schedule that ends at `total_steps`; to be stepped once per optimiser step.

        Args:
            total_steps: A function where only training can tell; infinite until it is known.
        """
        floor = self.min_lr / peak if (peak := optimizer.defaults["lr"]) else 0.0

        def rate(step: int) -> float:
            total = total_steps() if callable(total_steps) else total_steps
            return warmup_cosine(step, total, min(self.warmup_epochs * steps_per_epoch, total), floor)

        return torch.optim.lr_scheduler.LambdaLR(optimizer, rate)


def parameter_groups(module: nn.Module, weight_decay: float, undecayed: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Decayed and undecayed trainable parameters.

    Vectors and biases are not decayed; class and mask tokens are, since they have three axes (MAE, released code).
    Relative-position biases are not (LocalMIM, released Swin code).

    Args:
        undecayed: Last name parts of further parameters without decay.
    """
    plain_names = {"bias", "relative_position_bias_table", *undecayed}
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            plain = parameter.ndim <= 1 or name.rsplit(".", 1)[-1] in plain_names
            groups[plain].append(parameter)
    return [{"params": groups[False], "weight_decay": weight_decay}, {"params": groups[True], "weight_decay": 0.0}]
