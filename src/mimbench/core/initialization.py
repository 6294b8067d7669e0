"""Weight initialization as in the papers."""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

_TOKENS = ("cls_token", "reg_token", "mask_token", "dist_token")


@torch.no_grad()
def initialize(module: nn.Module, generator: torch.Generator | None = None) -> None:
    """Initializes all weights as in MAE's released code, which the other three papers follow.

    - Linear layers: Xavier uniform weights, zero biases.
    - Patch projection: Xavier uniform as a linear layer of shape [out, in * p * p]; the bias keeps PyTorch's default.
    - Class, register and mask tokens: normal with standard deviation 0.02.
    - LayerNorms: weight 1, bias 0.
    - Other convolutions, those of the heads: PyTorch's default.
    - Weight-normalized heads: Xavier uniform directions. MIRL's released code initializes only the derived weight,
      which has no effect, but Paddle's default for linear layers is the same.
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
