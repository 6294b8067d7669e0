"""Attention maps of a ViT, computed from queries and keys without changing the model."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from timm.layers.attention import Attention
from timm.models.vision_transformer import Block
from torch import Tensor

from mimbench.analysis.distance import attention_distance
from mimbench.analysis.diversity import head_diversity
from mimbench.analysis.entropy import attention_entropy
from mimbench.encoders import BeitEncoder, Encoder, ViTEncoder

_MAX_ENTRIES = 2**25  # elements of a tensor of attention: 128 MiB in fp32


@dataclass(frozen=True)
class Heads:
    """Statistics of the heads of one block, averaged over images and queries.

    Attributes:
        distance: Distance in pixels; see `attention_distance`.
        entropy: Entropy in nats; see `attention_entropy`.
        diversity: Divergence in nats; see `head_diversity`.
    """

    distance: Float[Tensor, " h"]
    entropy: Float[Tensor, " h"]
    diversity: Float[Tensor, " h"]


@torch.inference_mode()
def attention_statistics(encoder: Encoder, batches: Iterable[Float[Tensor, "_ c h w"]]) -> dict[int, Heads]:
    """Statistics of the heads of each block by depth, 1 to L; call `encoder.eval()` before.

    Raises:
        ValueError: The encoder is not a ViT of plain blocks, or there are no images.
    """
    vit = check_attention(encoder)
    sums: dict[int, Tensor] = {}
    num_images = 0
    for batch in batches:
        for images in batch.split(_chunk(vit)):
            for depth, log_attention in attention_maps(vit, images):
                values = len(images) * _statistics(log_attention, vit)
                sums[depth] = sums[depth] + values if depth in sums else values
            num_images += len(images)
    if not num_images:
        raise ValueError("There are no images; give at least one batch.")
    return {depth: Heads(*(total / num_images).cpu().unbind()) for depth, total in sums.items()}


def attention_maps(
    encoder: ViTEncoder, images: Float[Tensor, "b c h w"]
) -> Iterator[tuple[int, Float[Tensor, "b h s s"]]]:
    """Depth and log-attention of every block; rows are queries, prefix tokens come first.

    The attention of block k is computed from the tokens at depth k - 1 as in timm's unfused attention.
    """
    features = encoder(images, range(encoder.depth))
    for depth, block in enumerate(encoder.trunk.blocks, start=1):
        assert isinstance(block, Block)
        yield depth, block_attention(block, features[depth - 1].sequence)


def block_attention(block: Block, sequence: Float[Tensor, "b s d"]) -> Float[Tensor, "b h s s"]:
    """Log-attention of one block for its input."""
    attn = cast("Attention", block.attn)
    qkv = cast("Tensor", attn.qkv(block.norm1(sequence))).unflatten(2, (3, attn.num_heads, attn.head_dim))
    q, k, _ = qkv.permute(2, 0, 3, 1, 4)
    scores = attn.q_norm(q) * attn.scale @ attn.k_norm(k).transpose(2, 3)
    return scores.float().log_softmax(-1)


def among_patches(log_attention: Float[Tensor, "b h s s"], num_prefix: int) -> Float[Tensor, "b h n n"]:
    """Attention among patches, normalized to 1; class and register tokens have no position in the image."""
    return log_attention[..., num_prefix:, num_prefix:].log_softmax(-1)


def check_attention(encoder: Encoder) -> ViTEncoder:
    """Returns the encoder if its attention can be computed.

    Raises:
        ValueError: It is a Swin, whose windows bound the distance of attention, or has blocks of another kind.
    """
    if isinstance(encoder, BeitEncoder):
        raise ValueError("Attention is analyzed for ViTs without a relative position bias; use another encoder.")
    if not isinstance(encoder, ViTEncoder):
        raise ValueError("Attention is analyzed for ViTs; in a Swin the windows decide how far it reaches.")
    for block in encoder.trunk.blocks:
        if type(block) is not Block or type(block.attn) is not Attention:
            raise ValueError(f"Attention is analyzed for timm's plain blocks, this ViT has {type(block).__name__}.")
    return encoder


def _statistics(log_attention: Tensor, encoder: ViTEncoder) -> Float[Tensor, "3 h"]:
    tap = encoder.taps[0]
    patches = among_patches(log_attention, tap.prefix)
    distance = attention_distance(patches, tap.grid, tap.cell)
    return torch.stack([distance, attention_entropy(patches), head_diversity(patches)]).double()


def _chunk(encoder: ViTEncoder) -> int:
    tap = encoder.taps[0]
    tokens = tap.grid[0] * tap.grid[1] + tap.prefix
    heads = max(cast("Attention", block.attn).num_heads for block in encoder.trunk.blocks)
    return max(1, _MAX_ENTRIES // (heads * tokens**2))
