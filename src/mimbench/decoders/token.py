"""The transformer decoder that MAE, DeepMIM, LocalMIM and MIRL share."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mimbench.core import Tap, Tokens, initialize, sincos_2d, take
from mimbench.decoders.blocks import CrossBlock, LayerNorm, SelfBlock, check_heads


class TokenDecoder(nn.Module):
    """Fills the grid with mask tokens, applies transformer blocks and predicts every cell (MAE, section 3).

    Args:
        tap: Shapes of the encoder's output.
        dim: Channels inside the decoder.
        num_blocks: Transformer blocks.
        num_heads: Attention heads of a block.
        head: Maps tokens "b n dim" to predictions "b m out".
        cross: Whether the blocks also attend to a context.
        norm_input: Whether to apply a LayerNorm to the input, for taps without the encoder's final norm.
        mlp_ratio: Hidden width of the blocks' MLPs, in units of `dim`.
        row_first: Whether the first half of the position's channels encodes the row instead of the column.

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
        cross: bool = False,
        norm_input: bool = False,
        mlp_ratio: float = 4.0,
        row_first: bool = False,
    ):
        super().__init__()
        check_heads(dim, num_heads)
        self.norm_input = LayerNorm(tap.width) if norm_input else nn.Identity()
        self.project = nn.Linear(tap.width, dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.register_buffer("positions", sincos_2d(dim, tap.grid, tap.prefix, row_first), persistent=False)
        self.blocks = nn.ModuleList(
            (CrossBlock if cross else SelfBlock)(dim, num_heads, mlp_ratio) for _ in range(num_blocks)
        )
        self.norm = LayerNorm(dim)
        self.head = head
        initialize(self)

    def embed(self, tokens: Tokens) -> Tokens:
        """Projects encoder tokens to the decoder's width."""
        return tokens.with_sequence(self.project(self.norm_input(tokens.sequence)))

    def forward(
        self, embedded: Tokens, *context: Float[Tensor, "b c dim"], index: Int[Tensor, "b m"] | None = None
    ) -> Float[Tensor, "b n out"]:
        """Predicts cells from embedded tokens; prefix tokens take part in attention and are dropped before the head.

        Args:
            index: Raster positions of the patches to predict, in this order; all patches by default. If `embedded`
                contains none of them, the last block and the head skip all other tokens.
        """
        prefix = embedded.prefix.shape[1]
        if index is None or embedded.patches.shape[1] + index.shape[1] > self.positions.shape[1] - prefix:
            x = torch.cat([embedded.prefix, embedded.fill(self.mask_token)], dim=1) + self.positions
            for block in self.blocks:
                x = block(x, *context)
            x = self.norm(x)[:, prefix:]
            return self.head(x if index is None else take(x, index))
        x = self._hidden_last(embedded, index)
        for block in self.blocks[:-1]:
            x = block(x, *context)
        x = self.blocks[-1](x, *context, last=index.shape[1]) if len(self.blocks) else x[:, -index.shape[1] :]
        return self.head(self.norm(x))

    def _hidden_last(self, embedded: Tokens, hidden: Int[Tensor, "b m"]) -> Float[Tensor, "b n dim"]:
        """The sequence with the hidden patches last, which attention permits, so that a slice selects them."""
        prefix, positions = embedded.prefix.shape[1], self.positions[0]
        visible = embedded.patches + positions[prefix + embedded.index]
        return torch.cat(
            [embedded.prefix + positions[:prefix], visible, self.mask_token + positions[prefix + hidden]], dim=1
        )
