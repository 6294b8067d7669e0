"""The decoder all four methods share."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mimbench.core import Tap, Tokens, initialize, sincos_2d, take
from mimbench.decoders.blocks import CrossBlock, LayerNorm, SelfBlock


class TokenDecoder(nn.Module):
    """Completes the grid with a mask token, refines it and predicts every cell (MAE, section 3).

    Args:
        tap: What the encoder delivers.
        dim: Channels inside the decoder.
        num_blocks: Transformer blocks.
        num_heads: Attention heads of a block.
        head: Maps "b n dim" to "b m out".
        cross: Whether the blocks also attend to a context.
        norm_input: Whether to normalise the incoming tokens, which raw taps may need.
        mlp_ratio: Hidden width of the blocks' MLPs, in units of `dim`.

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
    ):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"{num_heads} heads do not divide a decoder width of {dim}; change num_heads or dim.")
        self.norm_input = LayerNorm(tap.width) if norm_input else nn.Identity()
        self.project = nn.Linear(tap.width, dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.register_buffer("positions", sincos_2d(dim, tap.grid, tap.prefix), persistent=False)
        self.blocks = nn.ModuleList(
            (CrossBlock if cross else SelfBlock)(dim, num_heads, mlp_ratio) for _ in range(num_blocks)
        )
        self.norm = LayerNorm(dim)
        self.head = head
        initialize(self)

    def embed(self, tokens: Tokens) -> Tokens:
        """Brings encoder tokens to decoder width."""
        return tokens.with_sequence(self.project(self.norm_input(tokens.sequence)))

    def forward(
        self, embedded: Tokens, *context: Float[Tensor, "b c dim"], at: Int[Tensor, "b m"] | None = None
    ) -> Float[Tensor, "b n out"]:
        """Predicts cells from embedded tokens; prefix tokens take part and are dropped before the head.

        Args:
            at: Predict the cells of these patches only, in this order; otherwise of all. Where they are just those
                that `embedded` lacks, the last block and the head leave out the rest, which no longer serves others.
        """
        prefix = embedded.prefix.shape[1]
        if at is None or embedded.patches.shape[1] + at.shape[1] > self.positions.shape[1] - prefix:
            x = torch.cat([embedded.prefix, embedded.fill(self.mask_token)], dim=1) + self.positions
            for block in self.blocks:
                x = block(x, *context)
            x = self.norm(x)[:, prefix:]
            return self.head(x if at is None else take(x, at))
        x = self._hidden_last(embedded, at)
        for block in self.blocks[:-1]:
            x = block(x, *context)
        x = self.blocks[-1](x, *context, last=at.shape[1]) if len(self.blocks) else x[:, -at.shape[1] :]
        return self.head(self.norm(x))

    def _hidden_last(self, embedded: Tokens, hidden: Int[Tensor, "b m"]) -> Float[Tensor, "b n dim"]:
        """Attention knows no order: with the hidden patches behind the visible ones nothing has to be picked out."""
        prefix, positions = embedded.prefix.shape[1], self.positions[0]
        seen = embedded.patches + positions[prefix + embedded.index]
        return torch.cat(
            [embedded.prefix + positions[:prefix], seen, self.mask_token + positions[prefix + hidden]], dim=1
        )
