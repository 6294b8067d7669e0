"""CrossMAE: mask tokens that attend to visible tokens only (Fu et al., 2024, arXiv 2401.14391)."""

from collections.abc import Sequence

from torch import Tensor, nn

from mimbench.core import Mask, Tokens
from mimbench.decoders import ContextMixture, QueryDecoder
from mimbench.encoders import Encoder
from mimbench.maskers import Masker
from mimbench.methods.base import check_depths, check_one_grid, check_output
from mimbench.methods.single import SinglePrediction
from mimbench.targets import TargetAt


class CrossMAE(SinglePrediction):
    """Predicts a part of the hidden patches, each on its own, from mixtures of the encoder's depths.

    With the mixture, the encoder's final norm takes no part: it stays as initialized and is not trained.

    Args:
        depths: Depths that are mixed; by default all, the embedding (0) included. Without the mixture, the last.
        predicted_ratio: Fraction of all patches that are predicted, at most the mask ratio.
        mixture: Whether every decoder block reads its own mixture of depths; otherwise all read the normed output.
        self_attention: Whether predicted patches also attend to each other, as in an ablation of the paper. A
            prediction then depends on which others are made, so figures that predict all patches differ from training.
    """

    def __init__(
        self,
        encoder: Encoder,
        masker: Masker,
        target: TargetAt,
        depths: Sequence[int] | None = None,
        dim: int = 512,
        num_blocks: int = 12,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
        predicted_ratio: float = 0.25,
        mixture: bool = True,
        self_attention: bool = False,
    ):
        super().__init__(encoder, masker)
        masker.num_ignored(encoder.mask_grid, predicted_ratio)  # raises ValueError if too many cells are predicted
        self.predicted_ratio, self.normed = predicted_ratio, not mixture
        default = range(encoder.depth + 1) if mixture else [encoder.depth]
        self.depths = check_depths(depths or default, encoder, first=0)
        check_output(self.depths, encoder)
        if not mixture and len(self.depths) > 1:
            raise ValueError(
                f"Without a mixture CrossMAE reads the last depth only, got depths {list(self.depths)}; "
                "set method.mixture=true or leave method.depths out."
            )
        tap = encoder.taps[-1]
        self.mixture: ContextMixture | None = None
        if mixture:
            check_one_grid("CrossMAE mixes", self.depths, encoder)
            self.mixture = ContextMixture(tap.width, len(self.depths), num_blocks)
            encoder.final_norm.requires_grad_(False)
        [self.target] = target(tap.cell).per_decoder(1)
        head = nn.Linear(dim, self.target.dim)
        self.decoder = QueryDecoder(tap, dim, num_blocks, num_heads, head, mlp_ratio, self_attention)

    def predict(self, features: dict[int, Tokens], mask: Mask | None = None) -> list[Tensor]:
        maps = [features[depth].sequence for depth in self.depths]
        contexts = maps * len(self.decoder.blocks) if self.mixture is None else self.mixture(maps)
        grid = features[self.depths[-1]].grid
        return [self.decoder(contexts, None if mask is None else mask.cells(grid))]
