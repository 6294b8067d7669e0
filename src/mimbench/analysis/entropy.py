"""Entropy of attention."""

import torch
from jaxtyping import Float
from torch import Tensor


def attention_entropy(log_attention: Float[Tensor, "b h n n"]) -> Float[Tensor, " h"]:
    """Entropy of attention in nats per head, averaged over images and queries; log n if it is uniform.

    Xie et al. 2023 (arXiv 2205.13543, section 3.1).

    Args:
        log_attention: Among patches, see `among_patches`.
    """
    return torch.special.entr(log_attention.exp()).sum(-1).mean((0, 2))
