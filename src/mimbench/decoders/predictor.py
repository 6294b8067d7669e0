"""A predictor of target blocks from a context."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mimbench.core import Tap, Tokens, initialize, sincos_2d
from mimbench.decoders.blocks import LayerNorm, SelfBlock, check_heads


class RegionPredictor(nn.Module):
    """Predicts every target block from every context, in a sequence of its own (I-JEPA, section 3).

    Args:
        tap: Shapes of the encoder's output, whose channels are predicted.
        dim: Channels inside the predictor.

    Raises:
        ValueError: The heads do not divide the width, or the width is not a multiple of 4.
    """

    positions: Tensor

    def __init__(self, tap: Tap, dim: int, num_blocks: int, num_heads: int, mlp_ratio: float = 4.0):
        super().__init__()
        check_heads(dim, num_heads)
        self.prefix = tap.prefix
        self.project = nn.Linear(tap.width, dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.register_buffer("positions", sincos_2d(dim, tap.grid), persistent=False)
        self.blocks = nn.ModuleList(SelfBlock(dim, num_heads, mlp_ratio) for _ in range(num_blocks))
        self.norm = LayerNorm(dim)
        self.head = nn.Linear(dim, tap.width)
        initialize(self)

    def forward(self, context: Tokens, targets: Int[Tensor, "k b m"]) -> Float[Tensor, "keb m d"]:
        """Predictions, target block outermost, then context, then image.

        Args:
            context: Tokens of all contexts, context outermost, then image.
            targets: Raster positions of the patches of every target block.
        """
        positions = self.positions[0]
        x = self.project(context.sequence)
        x = torch.cat([x[:, : self.prefix], x[:, self.prefix :] + positions[context.index]], dim=1)
        num_contexts = len(x) // targets.shape[1]
        index = targets[:, None].expand(-1, num_contexts, -1, -1).flatten(0, 2)
        x = torch.cat([x.repeat(len(targets), 1, 1), self.mask_token + positions[index]], dim=1)
        last = targets.shape[2]
        for block in self.blocks[:-1]:
            x = block(x)
        x = self.blocks[-1](x, last=last) if len(self.blocks) else x[:, -last:]
        return self.head(self.norm(x))
