"""One vector per image and depth, as in the evaluation protocols."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from mimbench.encoders import Encoder


@torch.inference_mode()
def mean_tokens(encoder: Encoder, batches: Iterable[Float[Tensor, "_ c h w"]]) -> dict[int, Float[Tensor, "n _"]]:
    """Means of the patch tokens of unmasked images by depth, on the CPU; call `encoder.eval()` before.

    The trunk's final norm is applied at the last depth only.
    """
    depths = range(encoder.depth + 1)
    parts: dict[int, list[Tensor]] = {depth: [] for depth in depths}
    for images in batches:
        for depth, tokens in encoder(images, depths).items():
            parts[depth].append(tokens.patches.float().mean(1).cpu())
    return {depth: torch.cat(rows) for depth, rows in parts.items()}
