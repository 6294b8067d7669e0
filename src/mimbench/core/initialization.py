"""The papers' initial weights, in one place."""

import torch
from torch import Tensor, nn

_TOKENS = ("cls_token", "reg_token", "mask_token", "dist_token")


@torch.no_grad()
def initialize(module: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draws all weights as MAE's released code does; the other three papers follow it.

    Linear: Xavier uniform, bias 0. The patch projection as the Linear it is, [out, in * p * p]; its bias keeps
    PyTorch's default. Class, register and mask tokens: N(0, 0.02). LayerNorm: 1 and 0. Convolutions of the heads
    keep PyTorch's default, and so do weight-normalised heads: MIRL's released code writes its Xavier draw into
    the derived weight, where it is lost.
    """
    for name, child in module.named_modules():
        if isinstance(child, nn.Linear) and not hasattr(child, "parametrizations"):
            nn.init.xavier_uniform_(child.weight, generator=generator)
            if child.bias is not None:
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
