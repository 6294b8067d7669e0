"""Transformer blocks of the decoders."""

from functools import partial

import torch.nn.functional as F
from jaxtyping import Float
from timm.layers import Mlp
from torch import Tensor, nn

LayerNorm = partial(nn.LayerNorm, eps=1e-6)


class SelfAttention(nn.Module):
    """Multi-head self-attention; optionally only the last tokens are queries."""

    def __init__(self, dim: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Float[Tensor, "b n d"], last: int | None = None) -> Float[Tensor, "b m d"]:
        if last is None:
            q, k, v = _heads(self.qkv(x), 3, self.num_heads)
        else:
            weight, bias, d = self.qkv.weight, self.qkv.bias, x.shape[2]
            (q,) = _heads(F.linear(x[:, -last:], weight[:d], bias[:d]), 1, self.num_heads)
            k, v = _heads(F.linear(x, weight[d:], bias[d:]), 2, self.num_heads)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class CrossAttention(nn.Module):
    """Multi-head attention with queries from x, and keys and values from a context.

    Args:
        context_dim: Channels of the context; by default those of x.
    """

    def __init__(self, dim: int, num_heads: int, context_dim: int | None = None):
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(context_dim or dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Float[Tensor, "b n d"], context: Float[Tensor, "b m e"]) -> Float[Tensor, "b n d"]:
        (q,) = _heads(self.q(x), 1, self.num_heads)
        k, v = _heads(self.kv(context), 2, self.num_heads)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class SelfBlock(nn.Module):
    """Self-attention and an MLP, each with pre-normalization and a residual connection (ViT)."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float = 4.0):
        super().__init__()
        self.norm1, self.norm2 = LayerNorm(dim), LayerNorm(dim)
        self.attn = SelfAttention(dim, num_heads)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(self, x: Float[Tensor, "b n d"], last: int | None = None) -> Float[Tensor, "b m d"]:
        """Returns all tokens, or only the last `last`; the rest then serve as keys and values."""
        x = (x if last is None else x[:, -last:]) + self.attn(self.norm1(x), last)
        return x + self.mlp(self.norm2(x))


class CrossBlock(nn.Module):
    """Self-attention, cross-attention and an MLP, each with pre-norm and a residual connection (MIRL, section 3.3)."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float = 4.0):
        super().__init__()
        self.norm1, self.norm2, self.norm3, self.norm4 = (LayerNorm(dim) for _ in range(4))
        self.attn = SelfAttention(dim, num_heads)
        self.cross_attn = CrossAttention(dim, num_heads)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(
        self, x: Float[Tensor, "b n d"], context: Float[Tensor, "b c d"], last: int | None = None
    ) -> Float[Tensor, "b m d"]:
        """Returns all tokens, or only the last `last`; the rest then serve as keys and values."""
        x = (x if last is None else x[:, -last:]) + self.attn(self.norm1(x), last)
        x = x + self.cross_attn(self.norm2(x), self.norm3(context))
        return x + self.mlp(self.norm4(x))


class QueryBlock(nn.Module):
    """Cross-attention to a context and an MLP, each with pre-norm and a residual connection (CrossMAE, section 3.2).

    Args:
        context_dim: Channels of the context, which gets no norm here.
        self_attention: Whether the queries first attend to each other.
    """

    def __init__(
        self, dim: int, num_heads: int, context_dim: int, mlp_ratio: float = 4.0, self_attention: bool = False
    ):
        super().__init__()
        self.norm0 = LayerNorm(dim) if self_attention else None
        self.self_attn = SelfAttention(dim, num_heads) if self_attention else None
        self.norm1, self.norm2 = LayerNorm(dim), LayerNorm(dim)
        self.cross_attn = CrossAttention(dim, num_heads, context_dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(self, x: Float[Tensor, "b n d"], context: Float[Tensor, "b c e"]) -> Float[Tensor, "b n d"]:
        if self.self_attn is not None and self.norm0 is not None:
            x = x + self.self_attn(self.norm0(x))
        x = x + self.cross_attn(self.norm1(x), context)
        return x + self.mlp(self.norm2(x))


def check_heads(dim: int, num_heads: int) -> None:
    """Raises ValueError if the attention heads do not divide the width of a decoder."""
    if dim % num_heads:
        raise ValueError(f"{num_heads} heads do not divide a decoder width of {dim}; change num_heads or dim.")


def _heads(x: Float[Tensor, "b n e"], count: int, num_heads: int) -> Float[Tensor, "count b h n c"]:
    """Splits the channels into `count` projections, such as q, k and v, and each of these into heads."""
    return x.unflatten(2, (count, num_heads, -1)).permute(2, 0, 3, 1, 4)
