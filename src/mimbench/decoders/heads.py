"""Turn decoder tokens into predictions on the target's grid."""

from jaxtyping import Float
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from mimbench.core import Tap


class ScaleHead(nn.Module):
    """Resamples the token grid to cells of another size and projects every cell (LocalMIM, section 3.2).

    Attributes:
        scale: Cells per side of a token. From 1 on, a cell depends on its own token alone, so that a part of the tokens
            can be projected; the cells then come token by token.

    Raises:
        ValueError: The cell is not 1/4, 1/2, 1 or 2 times the token's, or the grid cannot be halved.
    """

    def __init__(self, tap: Tap, dim: int, cell: int, out_dim: int):
        super().__init__()
        self.grid = tap.grid
        scale = tap.cell / cell
        resample: dict[float, list[nn.Module]] = {
            4.0: [_double(dim), LayerNorm2d(dim // 2), nn.GELU(), _double(dim // 2)],
            2.0: [_double(dim)],
            1.0: [],
            0.5: [nn.AvgPool2d(2)],
        }
        if scale not in resample:
            raise ValueError(
                f"Cells of {cell} px do not follow from patches of {tap.cell} px; "
                f"choose from {[int(tap.cell / s) for s in resample if tap.cell % s == 0]}."
            )
        if scale < 1 and any(side % 2 for side in tap.grid):
            raise ValueError(
                f"A {tap.grid[0]}x{tap.grid[1]} grid of patches cannot be halved for cells of {cell} px; "
                "choose a patch size that gives an even grid, or cells no larger than a patch."
            )
        width = dim // max(1, int(scale))
        self.scale = scale
        self.layers = nn.Sequential(*resample[scale], nn.Conv2d(width, out_dim, 1))

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b m out"]:
        whole = x.shape[1] == self.grid[0] * self.grid[1]
        grid = self.grid if whole else (x.shape[1], 1)  # a column of tokens
        return self.layers(x.transpose(1, 2).unflatten(2, grid)).flatten(2).transpose(1, 2)


def _double(dim: int) -> nn.Module:
    return nn.ConvTranspose2d(dim, dim // 2, kernel_size=2, stride=2)
