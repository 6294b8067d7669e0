"""The papers' optimizer, parameter groups and learning-rate scaling."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mimbench.optim.schedule import cosine, warmup_cosine, warmup_steps


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
        decayed: Parameters with weight decay after all, such as relative-position biases, likewise.
        fused: Whether to use PyTorch's fused kernel.
        start_lr: Learning rate at which the warm-up begins, absolute.
        milestones: Epochs from which on the rate is a tenth of what it was, instead of the cosine (SimMIM).
        final_weight_decay: Weight decay at the end, which half a cosine leads to (I-JEPA); None: it is constant.
        clip_norm: Largest norm of all gradients together (SimMIM); None: they are not clipped.
        ahead: Whether every step has the rate and the weight decay of the next one (I-JEPA, released code).

    Raises:
        ValueError: A number is negative or not finite, `betas` are not two numbers in [0, 1), or milestones do not
            ascend.
    """

    base_lr: float = 1.5e-4
    warmup_epochs: int | float = 40
    min_lr: float = 0.0
    weight_decay: float = 0.05
    betas: Sequence[float] = (0.9, 0.95)
    undecayed: Sequence[str] = ()
    fused: bool = True
    start_lr: float = 0.0
    milestones: Sequence[float] = ()
    final_weight_decay: float | None = None
    clip_norm: float | None = None
    ahead: bool = False
    decayed: Sequence[str] = ()

    def __post_init__(self) -> None:
        optional = [name for name in ("final_weight_decay", "clip_norm") if getattr(self, name) is not None]
        for name in ("base_lr", "warmup_epochs", "min_lr", "weight_decay", "start_lr", *optional):
            if type(value := getattr(self, name)) not in (int, float) or not 0 <= value < math.inf:
                raise ValueError(f"optim.{name} is {value!r}; it must be a number of at least 0.")
        betas: Any = self.betas
        if isinstance(betas, int | float) or len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"optim.betas is {betas!r}; it must be two numbers of at least 0 and below 1.")
        epochs: Any = self.milestones
        if isinstance(epochs, int | float | str) or list(epochs) != sorted({e for e in epochs if e > 0}):
            raise ValueError(f"optim.milestones is {epochs!r}; it must be a list of epochs in ascending order.")

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
            parameter_groups(module, self.weight_decay, self.undecayed, self.decayed),
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
        peak = optimizer.defaults["lr"]
        floor, start = (rate / peak if peak else 0.0 for rate in (self.min_lr, self.start_lr))

        def total() -> float:
            return total_steps() if callable(total_steps) else total_steps

        def rate(step: int) -> float:
            step, warmup = step + self.ahead, min(self.warmup_epochs * steps_per_epoch, total())
            if self.milestones:
                return warmup_steps(step, [epoch * steps_per_epoch for epoch in self.milestones], warmup, start)
            return warmup_cosine(step, total(), warmup, floor, start)

        if (last := self.final_weight_decay) is None:
            return torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return DecaySchedule(optimizer, rate, lambda step: cosine(step + self.ahead, total(), self.weight_decay, last))


class DecaySchedule(torch.optim.lr_scheduler.LambdaLR):
    """A schedule of the learning rate, and of the weight decay of the first group of parameters.

    Args:
        rate: Factor of the learning rate by step.
        decay: Weight decay by step.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, rate: Callable[[int], float], decay: Callable[[int], float]):
        self._decay = decay
        super().__init__(optimizer, rate)

    def step(self, epoch: int | None = None) -> None:
        super().step(epoch)
        self.optimizer.param_groups[0]["weight_decay"] = self._decay(self.last_epoch)

    def state_dict(self) -> dict[str, Any]:
        return {key: value for key, value in super().state_dict().items() if key != "_decay"}


def parameter_groups(
    module: nn.Module, weight_decay: float, undecayed: Sequence[str] = (), decayed: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Trainable parameters with and without weight decay.

    Vectors and biases have no decay; class and mask tokens have, since they have three axes (MAE, released code).
    Relative-position biases have none (LocalMIM, released Swin code).

    Args:
        undecayed: Further parameters without decay, by the last part of their name.
        decayed: Parameters with decay after all, by the last part of their name; vectors have none.
    """
    undecayed_names = {"bias", "relative_position_bias_table", *undecayed} - set(decayed)
    with_decay, without_decay = list[nn.Parameter](), list[nn.Parameter]()
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            no_decay = parameter.ndim <= 1 or name.rsplit(".", 1)[-1] in undecayed_names
            (without_decay if no_decay else with_decay).append(parameter)
    return [{"params": with_decay, "weight_decay": weight_decay}, {"params": without_decay, "weight_decay": 0.0}]
