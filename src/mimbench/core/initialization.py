"""The papers' initial weights, in one place."""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

_TOKENS = ("cls_token", "reg_token", "mask_token", "dist_token")


@torch.no_grad()
def initialize(module: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draws all weights as MAE's released code does; the other three papers follow it.

    Linear: Xavier uniform, bias 0. The patch projection as the Linear it is, [out, in * p * p]; its bias keeps
    PyTorch's default. Class, register and mask tokens: N(0, 0.02). LayerNorm: 1 and 0. Convolutions of the heads
    keep PyTorch's default. Of weight-normalised heads the direction is Xavier uniform too: MIRL's released code loses
    its draw in the derived weight, but Paddle's default for a linear layer is the same.
    """
    for name, child in cast("Iterable[tuple[str, nn.Module]]", module.named_modules()):
        if isinstance(child, nn.Linear):
            unit = getattr(child, "parametrizations", None)
            nn.init.xavier_uniform_(unit.weight.original1 if unit else child.weight, generator=generator)
            if child.bias is not None:  # pyright: ignore[reportUnnecessaryComparison]  # torch's type omits bias=False
                nn.init.zeros_(child.bias)
        elif isinstance(child, nn.LayerNorm) and child.elementwise_affine:
            nn.init.ones_(child.weight)
            nn.init.zeros_(child.bias)
        elif isinstance(child, nn.Conv2d) and name.endswith("patch_embed.proj"):
            flat: Tensor = child.weight.view(child.out_channels, -1)
            nn.init.xavier_uniform_(flat, generator=generator)
    for name, parameter in module.named_parameters():
        if name.rsplit(".", 1)[-1] in _TOKENS:
            nn.init.normal_(parameter, std=0.02, generator=generator)
