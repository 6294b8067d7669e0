"""SimMIM: mask tokens in the encoder, a linear layer behind it (Xie et al., 2021, arXiv 2111.09886)."""

from jaxtyping import Float
from torch import Tensor

from mimbench.core import Mask, Tokens
from mimbench.decoders import LinearDecoder
from mimbench.encoders import Encoder
from mimbench.maskers import Masker
from mimbench.methods.base import Method
from mimbench.methods.hidden import hidden_mean
from mimbench.targets import PixelTarget, TargetAt, target_values


class SimMIM(Method):
    """The encoder sees mask tokens where patches are hidden, and each of its tokens predicts its own patch.

    Args:
        target: The paper's is raw pixels by their absolute error.
        cell: Side of the predicted cells in pixels; by default the encoder's last patches.
    """

    def __init__(self, encoder: Encoder, masker: Masker, target: TargetAt, cell: int | None = None):
        super().__init__(encoder, masker, encode_hidden=True)
        tap = encoder.taps[-1]
        self.depths = (encoder.depth,)
        [self.target] = target(cell or tap.cell).spread(1)
        self.decoder = LinearDecoder(tap, self.target.cell, self.target.dim)

    def predict(self, features: dict[int, Tokens], mask: Mask | None = None) -> list[Tensor]:
        tokens = features[self.depths[-1]]
        return [self.decoder(tokens, None if mask is None else mask.cells(tokens.grid))]

    def losses(
        self, images: Float[Tensor, "b c h w"], predictions: list[Tensor], mask: Mask
    ) -> dict[str, Float[Tensor, ""]]:
        value = target_values([self.target], images, mask)[self.target]
        return {"hidden": hidden_mean(self.target, images, value, predictions[0], mask)}

    def paint(self, images: Float[Tensor, "b c h w"], predictions: list[Tensor]) -> dict[str, Tensor]:
        target = self.target
        return {"prediction": target.paint(predictions[0], images)} if isinstance(target, PixelTarget) else {}
