"""The papers' optimizer, parameter groups and learning-rate scaling."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mimbench.optim.schedule import warmup_cosine


@dataclass(frozen=True)
class Recipe:
    """AdamW with linear warm-up and cosine decay, stepped every update (MAE, Table 8; the other papers follow it).

    Attributes:
        base_lr: Learning rate per 256 images of the effective batch.
        warmup_epochs: Epochs of linear warm-up; fractions are allowed.
        min_lr: Final learning rate, absolute.
        weight_decay: Applied to matrices, not to vectors, biases and norms.
        betas: Decay rates of AdamW's moment estimates.
        undecayed: Further parameters without weight decay, by the last part of their name.
        fused: Whether to use PyTorch's fused kernel.

    Raises:
        ValueError: A number is negative or not finite, or `betas` are not two numbers in [0, 1).
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
                raise ValueError(f"optim.{name} is {value!r}; it must be a number of at least 0.")
        betas: Any = self.betas
        if isinstance(betas, int | float) or len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"optim.betas is {betas!r}; it must be two numbers of at least 0 and below 1.")

    def peak_lr(self, batch_size: int) -> float:
        """The peak learning rate for an effective batch, by the linear scaling rule.

        Example:
            >>> round(Recipe(base_lr=1.5e-4).peak_lr(4096), 6)
            0.0024
        """
        return self.base_lr * batch_size / 256

    def optimizer(self, module: nn.Module, batch_size: int) -> torch.optim.AdamW:
        """AdamW over the trainable parameters, with and without weight decay."""
        return torch.optim.AdamW(
            parameter_groups(module, self.weight_decay, self.undecayed),
            lr=self.peak_lr(batch_size),
            betas=(self.betas[0], self.betas[1]),
            fused=self.fused,
        )

    def scheduler(
        self, optimizer: torch.optim.Optimizer, total_steps: int | Callable[[], float], steps_per_epoch: int
    ) -> torch.optim.lr_scheduler.LambdaLR:
        """The schedule that ends at `total_steps`; step it once per optimizer step.

        Args:
            total_steps: The number of steps, or a function if it is not known in advance; infinite until it is known.
        """
        floor = self.min_lr / peak if (peak := optimizer.defaults["lr"]) else 0.0

        def rate(step: int) -> float:
            total = total_steps() if callable(total_steps) else total_steps
            return warmup_cosine(step, total, min(self.warmup_epochs * steps_per_epoch, total), floor)

        return torch.optim.lr_scheduler.LambdaLR(optimizer, rate)


def parameter_groups(module: nn.Module, weight_decay: float, undecayed: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Trainable parameters with and without weight decay.

    Vectors and biases have no decay; class and mask tokens have, since they have three axes (MAE, released code).
    Relative-position biases have none (LocalMIM, released Swin code).

    Args:
        undecayed: Further parameters without decay, by the last part of their name.
    """
    undecayed_names = {"bias", "relative_position_bias_table", *undecayed}
    with_decay, without_decay = list[nn.Parameter](), list[nn.Parameter]()
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            no_decay = parameter.ndim <= 1 or name.rsplit(".", 1)[-1] in undecayed_names
            (without_decay if no_decay else with_decay).append(parameter)
    return [{"params": with_decay, "weight_decay": weight_decay}, {"params": without_decay, "weight_decay": 0.0}]
