"""MAE with a second decoder half-way up the encoder."""

from torch import nn

from mimbench.decoders import TokenDecoder
from mimbench.encoders import Encoder
from mimbench.maskers import Masker
from mimbench.methods import BranchedMethod
from mimbench.targets import TargetAt


class HalfWay(BranchedMethod):
    """MAE with a second decoder half-way up the encoder.

    Args:
        dim: Width of the decoders.
        num_blocks: Blocks of each decoder.
        num_heads: Attention heads of the decoders.
    """

    def __init__(
        self,
        encoder: Encoder,
        masker: Masker,
        target: TargetAt,
        dim: int = 512,
        num_blocks: int = 8,
        num_heads: int = 16,
    ):
        depths = [encoder.depth // 2, encoder.depth]
        value = target(encoder.taps[-1].cell)
        decoders = [
            TokenDecoder(encoder.taps[depth], dim, num_blocks, num_heads, head=nn.Linear(dim, value.dim))
            for depth in depths
        ]
        super().__init__(encoder, masker, depths, decoders, [value, value])
