"""Counts of the operations of a training step, which do not depend on the load of the machine."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mimbench.core import Mask
from mimbench.methods import Method
from mimbench.targets import Target, target_values
from mimbench.training.cost import count_flops, reference_mask

_BATCH = 2


@dataclass(frozen=True)
class Counts:
    """Operations of a step, forward and backward, without the optimizer.

    Attributes:
        flops: Operations of matrix products, convolutions and attention per image; a multiply-add counts as 2.
        target_flops: The part of `flops` that computes the targets.
        operations: Calls of PyTorch operators per step; an upper bound of the number of GPU kernels.
    """

    flops: int
    target_flops: int
    operations: int


def count_step(method: Method, image_size: int) -> Counts:
    """Counts the operations of one step; on the meta device without memory and arithmetic.

    Drawing the mask is not counted. The parameters have gradients afterwards.
    """
    device = next(method.parameters()).device
    images = torch.zeros(_BATCH, 3, image_size, image_size, device=device)
    mask = reference_mask(method, _BATCH, device)
    mask.visible  # noqa: B018  computed on first access, by a sort that is not to be counted
    with count_flops() as step, _Operations() as operations:
        method(images, mask, hidden_only=True).loss.backward()
    with count_flops() as target:
        make_targets(method, images, mask)
    flops = (step.get_total_flops() // _BATCH, target.get_total_flops() // _BATCH)
    return Counts(*flops, operations.count)


def make_targets(method: Method, images: Tensor, mask: Mask) -> dict[Target, Tensor]:
    """The values of all targets, computed as in a step."""
    return target_values([module for module in method.modules() if isinstance(module, Target)], images, mask)


class _Operations(TorchDispatchMode):
    """Counts calls of operators, except views, which compute nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        aliases = func._schema.returns and all(r.alias_info and not r.alias_info.is_write for r in func._schema.returns)
        self.count += not aliases
        return func(*args, **(kwargs or {}))
