"""DeepMIM: the same task at several depths (Ren et al., 2023, arXiv 2303.08817)."""

from collections.abc import Sequence

from torch import nn

from mimbench.decoders import TokenDecoder
from mimbench.encoders import Encoder
from mimbench.maskers import Masker
from mimbench.methods.base import check_depths
from mimbench.methods.branched import BranchedMethod
from mimbench.targets import TargetAt


class DeepMIM(BranchedMethod):
    """Supervises intermediate layers with decoders of their own and one common target, or one that grows with depth.

    Intermediate tokens enter their decoders without a norm, as in the released code.

    Args:
        depths: Where decoders sit; by default 1/2, 2/3, 5/6 and all of the encoder (6, 8, 10, 12 of ViT-B).
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
    ):
        depths = check_depths(depths or deepmim_depths(encoder.depth), encoder)
        value = target(encoder.taps[-1].cell)
        decoders = [
            TokenDecoder(
                encoder.taps[d], dim, num_blocks, num_heads, head=nn.Linear(dim, value.dim), mlp_ratio=mlp_ratio
            )
            for d in depths
        ]
        super().__init__(encoder, masker, depths, decoders, value.spread(len(depths)))


def deepmim_depths(depth: int) -> tuple[int, ...]:
    """1/2, 2/3, 5/6 and all of a depth, rounded, without repeats."""
    return tuple(sorted({max(1, round(depth * share)) for share in (1 / 2, 2 / 3, 5 / 6, 1)}))
