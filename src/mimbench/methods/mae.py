"""MAE: one decoder on the last layer (He et al., 2021, arXiv 2111.06377)."""

from torch import nn

from mimbench.decoders import TokenDecoder
from mimbench.encoders import Encoder
from mimbench.maskers import Masker
from mimbench.methods.branched import BranchedMethod
from mimbench.targets import TargetAt


class MAE(BranchedMethod):
    """Predicts hidden patches from the encoder's output."""

    def __init__(
        self,
        encoder: Encoder,
        masker: Masker,
        target: TargetAt,
        dim: int = 512,
        num_blocks: int = 8,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
    ):
        tap = encoder.taps[-1]
        value = target(tap.cell)
        decoder = TokenDecoder(tap, dim, num_blocks, num_heads, head=nn.Linear(dim, value.dim), mlp_ratio=mlp_ratio)
        super().__init__(encoder, masker, [encoder.depth], [decoder], [value])
