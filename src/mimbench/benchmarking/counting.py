"""What a training step consists of, counted instead of timed."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mimbench.core import Mask
from mimbench.methods import Method
from mimbench.targets import Target, target_values
from mimbench.training.cost import counted, planned_mask

_BATCH = 2


@dataclass(frozen=True)
class Counts:
    """A step, forward and backward, without the optimiser.

    Attributes:
        flops: Operations of matrix products, convolutions and attention per image; a multiply-add counts as 2.
        target_flops: Those of them that make the targets.
        operations: Calls of PyTorch operators per step; an upper bound of the kernels that a GPU is sent.
    """

    flops: int
    target_flops: int
    operations: int


def count_step(method: Method, image_size: int) -> Counts:
    """Runs a step and counts; on the meta device it takes neither memory nor arithmetic.

    The mask is drawn before. Gradients are left behind.
    """
    device = next(method.parameters()).device
    images = torch.zeros(_BATCH, 3, image_size, image_size, device=device)
    mask = planned_mask(method, _BATCH, device)
    mask.visible  # noqa: B018  a step's first look at it sorts, on the CPU
    with counted() as step, _Operations() as operations:
        method(images, mask, hidden_only=True).loss.backward()
    with counted() as target:
        make_targets(method, images, mask)
    flops = (step.get_total_flops() // _BATCH, target.get_total_flops() // _BATCH)
    return Counts(*flops, operations.count)


def make_targets(method: Method, images: Tensor, mask: Mask) -> dict[Target, Tensor]:
    """What the decoders have to predict, as a step makes it."""
    return target_values([module for module in method.modules() if isinstance(module, Target)], images, mask)


class _Operations(TorchDispatchMode):
    """Counts calls that compute; a view computes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        aliases = func._schema.returns and all(r.alias_info and not r.alias_info.is_write for r in func._schema.returns)
        self.count += not aliases
        return func(*args, **(kwargs or {}))
