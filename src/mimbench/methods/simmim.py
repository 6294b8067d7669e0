"""SimMIM: mask tokens in the encoder and a linear decoder (Xie et al., 2021, arXiv 2111.09886)."""

from torch import Tensor

from mimbench.core import Grid, Mask, Tap, Tokens
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
        mask_cell: Side of the cells that are hidden together; by default that patch size. The released code has 32 px.

    Raises:
        ValueError: Cells of the mask do not consist of whole patches, or do not divide the image.
    """

    def __init__(
        self,
        encoder: Encoder,
        masker: Masker,
        target: TargetAt,
        cell: int | None = None,
        mask_cell: int | None = None,
    ):
        tap = encoder.taps[-1]
        self._mask_grid = _grid_of(mask_cell or tap.cell, tap)
        super().__init__(encoder, masker, encode_hidden=True)
        masker.num_visible(self._mask_grid)  # raises ValueError if the grid is too small for the ratio
        self.depths = (encoder.depth,)
        [self.target] = target(cell or tap.cell).per_decoder(1)
        self.decoder = LinearDecoder(tap, self.target.cell, self.target.dim)

    def predict(self, features: dict[int, Tokens], mask: Mask | None = None) -> list[Tensor]:
        tokens = features[self.depths[-1]]
        # Cells are grouped by patch, and by cell of the mask in the loss; with finer cells, only one of both can be.
        grouped = self.decoder.scale > 1 and tokens.grid != self._mask_grid
        return [self.decoder(tokens, None if mask is None or grouped else mask.cells(tokens.grid))]

    @property
    def mask_grid(self) -> Grid:
        return self._mask_grid


def _grid_of(cell: int, tap: Tap) -> Grid:
    rows, columns = (side * tap.cell for side in tap.grid)
    if cell % tap.cell or rows % cell or columns % cell:
        fit = [n * tap.cell for n in range(1, tap.grid[0]) if tap.grid[0] % n == tap.grid[1] % n == 0]
        raise ValueError(
            f"Cells of {cell} px cannot be hidden in an image of {rows}x{columns} px with patches of {tap.cell} px; "
            f"set method.mask_cell to one of {fit}."
        )
    return rows // cell, columns // cell
