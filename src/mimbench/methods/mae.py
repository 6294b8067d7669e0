"""MAE: one decoder on the last layer (He et al., 2021, arXiv 2111.06377)."""

from torch import nn

from mimbench.decoders import TokenDecoder
from mimbench.encoders import Encoder
from mimbench.maskers import Masker
from mimbench.methods.branched import BranchedMethod
from mimbench.targets import TargetAt


class MAE(BranchedMethod):
    """Predicts hidden patches from the encoder's output.

    Args:
        encode_hidden: Whether the encoder also processes mask tokens in place of hidden patches (Table 1c), at more
            than three times the cost. The decoder then has no trained mask token.
    """

    def __init__(
        self,
        encoder: Encoder,
        masker: Masker,
        target: TargetAt,
        dim: int = 512,
        num_blocks: int = 8,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
        encode_hidden: bool = False,
    ):
        tap = encoder.taps[-1]
        [value] = target(tap.cell).per_decoder(1)
        decoder = TokenDecoder(tap, dim, num_blocks, num_heads, head=nn.Linear(dim, value.dim), mlp_ratio=mlp_ratio)
        decoder.mask_token.requires_grad_(not encode_hidden)
        super().__init__(encoder, masker, [encoder.depth], [decoder], [value], encode_hidden)
