"""DeepMIM: deep supervision at several depths (Ren et al., 2023, arXiv 2303.08817)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mimbench.decoders import TokenDecoder
from mimbench.encoders import Encoder
from mimbench.maskers import Masker
from mimbench.methods.base import check_depths
from mimbench.methods.branched import BranchedMethod
from mimbench.targets import TargetAt


class DeepMIM(BranchedMethod):
    """Supervises intermediate layers with one decoder each, all with the same target or with hybrid targets.

    Intermediate tokens enter their decoders without a norm, as in the released code.

    Args:
        depths: Depths with a decoder; by default 1/2, 2/3, 5/6 and all of the encoder's depth (6, 8, 10, 12 of ViT-B).
        num_taps: How many of the default depths are read, starting from the deepest; at most as many as exist.
        shallow_weight: Weight of every loss except the deepest.

    Raises:
        ValueError: `num_taps` is below 1, the weight is not positive, or the depths have grids of different sizes.
    """

    def __init__(
        self,
        encoder: Encoder,
        masker: Masker,
        target: TargetAt,
        depths: Sequence[int] | None = None,
        dim: int = 512,
        num_blocks: int = 4,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
        num_taps: int = 4,
        shallow_weight: float = 1.0,
    ):
        if num_taps < 1 or not shallow_weight > 0:
            raise ValueError(
                f"DeepMIM needs at least one tap and a positive weight, got num_taps={num_taps} and "
                f"shallow_weight={shallow_weight}."
            )
        depths = check_depths(depths or deepmim_depths(encoder.depth)[-num_taps:], encoder)
        if len({encoder.taps[depth].grid for depth in depths}) > 1:
            raise ValueError(
                f"DeepMIM has one target for all depths, but depths {list(depths)} have grids of different sizes; "
                "choose depths of one stage with method.depths, a ViT, or method=localmim."
            )
        value = target(encoder.taps[-1].cell)
        decoders = [
            TokenDecoder(
                encoder.taps[d], dim, num_blocks, num_heads, head=nn.Linear(dim, value.dim), mlp_ratio=mlp_ratio
            )
            for d in depths
        ]
        super().__init__(encoder, masker, depths, decoders, value.per_decoder(len(depths)))
        self.shallow_weight = shallow_weight

    def combine(self, terms: Sequence[Float[Tensor, ""]]) -> Float[Tensor, ""]:
        *shallow, last = terms
        return torch.stack([*(term * self.shallow_weight for term in shallow), last]).sum()


def deepmim_depths(depth: int) -> tuple[int, ...]:
    """1/2, 2/3, 5/6 and all of an encoder's depth, rounded, without repeats."""
    return tuple(sorted({max(1, round(depth * share)) for share in (1 / 2, 2 / 3, 5 / 6, 1)}))
