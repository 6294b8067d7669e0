"""A decoder that asks for single patches and reads a context of its own in every block."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mimbench.core import Tap, initialize, sincos_2d
from mimbench.decoders.blocks import LayerNorm, QueryBlock, check_heads


class QueryDecoder(nn.Module):
    """Mask tokens at the patches to predict attend to encoder tokens (CrossMAE, section 3.2).

    Without self-attention, the prediction of a patch does not depend on which others are predicted.

    Args:
        tap: Shapes of the encoder's output.
        dim: Channels inside the decoder.
        head: Maps tokens "b m dim" to predictions "b m out".
        self_attention: Whether the queries also attend to each other.

    Raises:
        ValueError: The heads do not divide the width, or the width is not a multiple of 4.
    """

    positions: Tensor

    def __init__(
        self,
        tap: Tap,
        dim: int,
        num_blocks: int,
        num_heads: int,
        head: nn.Module,
        mlp_ratio: float = 4.0,
        self_attention: bool = False,
    ):
        super().__init__()
        check_heads(dim, num_heads)
        self.prefix = tap.prefix
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.register_buffer("positions", sincos_2d(dim, tap.grid, tap.prefix), persistent=False)
        self.blocks = nn.ModuleList(
            QueryBlock(dim, num_heads, tap.width, mlp_ratio, self_attention) for _ in range(num_blocks)
        )
        self.norm = LayerNorm(dim)
        self.head = head
        initialize(self)

    def forward(
        self, contexts: Sequence[Float[Tensor, "b c d"]], index: Int[Tensor, "b m"] | None = None
    ) -> Float[Tensor, "b m out"]:
        """Predicts patches.

        Args:
            contexts: What each block attends to.
            index: Raster positions of the patches to predict, in this order; all patches by default.
        """
        positions = self.positions[0, self.prefix :]
        x = self.mask_token + (positions.expand(len(contexts[0]), -1, -1) if index is None else positions[index])
        for block, context in zip(self.blocks, contexts, strict=True):
            x = block(x, context)
        return self.head(self.norm(x))
