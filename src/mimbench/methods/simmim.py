"""SimMIM: mask tokens in the encoder and a linear decoder (Xie et al., 2021, arXiv 2111.09886)."""

from torch import Tensor

from mimbench.core import Mask, Tokens
from mimbench.decoders import LinearDecoder
from mimbench.encoders import Encoder
from mimbench.maskers import Masker
from mimbench.methods.single import SinglePrediction
from mimbench.targets import TargetAt


class SimMIM(SinglePrediction):
    """The encoder receives mask tokens in place of hidden patches, and each of its tokens predicts its own patch.

    Args:
        target: Raw pixels with the absolute error in the paper.
        cell: Side of the predicted cells in pixels; by default the patch size at the encoder's last depth.
    """

    def __init__(self, encoder: Encoder, masker: Masker, target: TargetAt, cell: int | None = None):
        super().__init__(encoder, masker, encode_hidden=True)
        tap = encoder.taps[-1]
        self.depths = (encoder.depth,)
        [self.target] = target(cell or tap.cell).per_decoder(1)
        self.decoder = LinearDecoder(tap, self.target.cell, self.target.dim)

    def predict(self, features: dict[int, Tokens], mask: Mask | None = None) -> list[Tensor]:
        tokens = features[self.depths[-1]]
        return [self.decoder(tokens, None if mask is None else mask.cells(tokens.grid))]
