"""Learned mixtures of an encoder's depths."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mimbench.core import initialize
from mimbench.decoders.blocks import LayerNorm


class ContextMixture(nn.Module):
    """One weighted sum of all maps for every decoder block, each followed by a LayerNorm (CrossMAE, section 3.4).

    Weights may have any sign and size; they start as those of any other linear layer, since the released code
    overwrites the initialization that it describes.
    """

    def __init__(self, width: int, num_maps: int, num_blocks: int):
        super().__init__()
        self.linear = nn.Linear(num_maps, num_blocks, bias=False)
        self.norms = nn.ModuleList(LayerNorm(width) for _ in range(num_blocks))
        initialize(self)

    def forward(self, maps: Sequence[Float[Tensor, "b s d"]]) -> list[Float[Tensor, "b s d"]]:
        mixed = self.linear(torch.stack(list(maps), dim=-1)).unbind(-1)
        return [norm(one) for norm, one in zip(self.norms, mixed, strict=True)]


class Fusion(nn.Module):
    """One mean of all maps with learned weights; all but the last map are projected first (MFF, section 3).

    The weights are a softmax over one number per map, and start equal.
    """

    def __init__(self, width: int, num_maps: int):
        super().__init__()
        self.project = nn.ModuleList(nn.Linear(width, width) for _ in range(num_maps - 1))
        # With one map there is nothing to learn.
        self.logits = nn.Parameter(torch.ones(num_maps, 1, 1, 1), requires_grad=num_maps > 1)
        initialize(self)

    @property
    def weights(self) -> Float[Tensor, " k"]:
        """Share of every map."""
        return self.logits.flatten().softmax(0)

    def forward(self, maps: Sequence[Float[Tensor, "b s d"]]) -> Float[Tensor, "b s d"]:
        *shallow, last = maps
        projected = [project(one) for project, one in zip(self.project, shallow, strict=True)]
        return (torch.stack([*projected, last]) * self.logits.softmax(0)).sum(0)
