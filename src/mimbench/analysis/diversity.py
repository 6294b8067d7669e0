"""How differently the heads of a block look."""

import torch
from jaxtyping import Float
from torch import Tensor


def head_diversity(log_attention: Float[Tensor, "b h n n"]) -> Float[Tensor, " h"]:
    """Mean Kullback-Leibler divergence in nats from each head's attention to the other heads', NaN for a lone head.

    Averaged over images and queries; 0 where all heads look alike (Xie et al. 2023, arXiv 2205.13543, section 3.1).

    Args:
        log_attention: Among patches, see `among_patches`.
    """
    attention = log_attention.exp()
    # Attention that underflows to 0 has a finite logarithm, so that 0 log 0 is 0.
    logarithm = log_attention.clamp(min=torch.finfo(log_attention.dtype).min)
    num_heads = log_attention.shape[1]
    # Differences first: untrained heads differ by less than a difference of entropies can resolve.
    sums = [
        (attention[:, [head]] * (logarithm[:, [head]] - logarithm)).sum(-1).mean((0, 2)).sum()
        for head in range(num_heads)
    ]
    return torch.stack(sums) / (num_heads - 1)
