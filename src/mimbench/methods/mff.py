"""MFF: multi-level feature fusion on MAE (Liu et al., 2023, arXiv 2308.00261)."""

from collections.abc import Sequence

from torch import Tensor, nn

from mimbench.core import Mask, Tokens
from mimbench.decoders import Fusion, TokenDecoder
from mimbench.encoders import Encoder
from mimbench.maskers import Masker
from mimbench.methods.base import check_depths, check_one_grid, check_output
from mimbench.methods.single import SinglePrediction
from mimbench.targets import TargetAt

# The paper's depths of 12 blocks.
_OF_TWELVE = (1, 3, 5, 7, 9, 12)


class MFF(SinglePrediction):
    """MAE whose decoder reads a learned mean of several depths instead of the last one.

    The encoder's final norm is applied to the mean, and never to the last depth alone. The decoder's positions encode
    the row first, as in the released code.

    Args:
        depths: Depths that are fused, the last of which must be the encoder's; by default 1, 3, 5, 7, 9 and 12 of 12,
            in proportion.
    """

    normed = False

    def __init__(
        self,
        encoder: Encoder,
        masker: Masker,
        target: TargetAt,
        depths: Sequence[int] | None = None,
        dim: int = 512,
        num_blocks: int = 8,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
    ):
        super().__init__(encoder, masker)
        self.depths = check_depths(depths or mff_depths(encoder.depth), encoder)
        check_output(self.depths, encoder)
        check_one_grid("MFF fuses", self.depths, encoder)
        tap = encoder.taps[-1]
        [self.target] = target(tap.cell).per_decoder(1)
        self.fusion = Fusion(tap.width, len(self.depths))
        head = nn.Linear(dim, self.target.dim)
        self.decoder = TokenDecoder(tap, dim, num_blocks, num_heads, head, mlp_ratio=mlp_ratio, row_first=True)

    def fuse(self, features: dict[int, Tokens]) -> Tokens:
        """The normed mean of the tokens at all depths."""
        fused = self.fusion([features[depth].sequence for depth in self.depths])
        return features[self.depths[-1]].with_sequence(self.encoder.final_norm(fused))

    def predict(self, features: dict[int, Tokens], mask: Mask | None = None) -> list[Tensor]:
        fused = self.fuse(features)
        index = None if mask is None else mask.cells(fused.grid)
        return [self.decoder(self.decoder.embed(fused), index=index)]


def mff_depths(depth: int) -> tuple[int, ...]:
    """1, 3, 5, 7, 9 and 12 twelfths of an encoder's depth, rounded, without repeats."""
    return tuple(sorted({max(1, round(depth * twelfth / 12)) for twelfth in _OF_TWELVE}))
