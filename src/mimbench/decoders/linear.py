"""A decoder of one linear layer."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from mimbench.core import Tap, Tokens, initialize, take


class LinearDecoder(nn.Module):
    """Predicts the cells of a patch from the patch's own token, for encoders that receive mask tokens.

    Args:
        tap: Shapes of the encoder's output.
        cell: Side of a cell in pixels.
        out_dim: Channels of a prediction.

    Raises:
        ValueError: The cells do not divide a patch.
    """

    def __init__(self, tap: Tap, cell: int, out_dim: int):
        super().__init__()
        if cell < 1 or tap.cell % cell:
            sides = [side for side in range(1, tap.cell + 1) if tap.cell % side == 0]
            raise ValueError(f"Cells of {cell} px do not divide patches of {tap.cell} px; choose one of {sides}.")
        self.scale = tap.cell // cell
        self.project = nn.Linear(tap.width, self.scale**2 * out_dim)
        initialize(self)

    def forward(self, tokens: Tokens, index: Int[Tensor, "b m"] | None = None) -> Float[Tensor, "b n out"]:
        """Predictions of all cells in raster order, or of the cells of the patches at `index`, grouped by patch."""
        patches = tokens.patches if index is None else take(tokens.patches, index)
        cells = self.project(patches).unflatten(2, (self.scale, self.scale, -1))
        if index is None:
            cells = cells.unflatten(1, tokens.grid).transpose(2, 3)
        return cells.flatten(1, -2)
