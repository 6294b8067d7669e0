"""Heads that turn decoder tokens into predictions on the target's grid."""

import torch.nn.functional as F
from jaxtyping import Float
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from mimbench.core import Tap


class ScaleHead(nn.Module):
    """Resamples the token grid to cells of another size and projects every cell (LocalMIM, section 3.2).

    Attributes:
        scale: Cells per side of a patch. From 1 on, a cell depends only on its own token, so the head accepts a subset
            of the tokens and returns their cells grouped by token; cells of the full grid are in raster order.

    Raises:
        ValueError: The cell size is not 1/4, 1/2, 1 or 2 times the patch size, or the grid cannot be halved.
    """

    def __init__(self, tap: Tap, dim: int, cell: int, out_dim: int):
        super().__init__()
        self.grid = tap.grid
        scale = tap.cell / cell
        resample: dict[float, list[nn.Module]] = {
            4.0: [_upsample(dim), LayerNorm2d(dim // 2), nn.GELU(), _upsample(dim // 2)],
            2.0: [_upsample(dim)],
            1.0: [],
            0.5: [nn.AvgPool2d(2)],
        }
        if scale not in resample:
            raise ValueError(
                f"Cells of {cell} px cannot be predicted from patches of {tap.cell} px; "
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
        if self.scale < 1:
            return self.layers(x.transpose(1, 2).unflatten(2, self.grid)).flatten(2).transpose(1, 2)
        for layer in self.layers:  # on tokens, as matrix products, which are faster than convolutions of images
            x = _upsample_tokens(x, layer) if isinstance(layer, nn.ConvTranspose2d) else _pointwise(x, layer)
        side = int(self.scale)
        # Each upsampling has appended the axes (row, column), coarse before fine; below, rows come before columns.
        cells = x.unflatten(1, (-1, *(2,) * (2 * (side.bit_length() - 1))))
        if side == 4:
            cells = cells.transpose(3, 4)
        cells = cells.reshape(len(x), -1, side, side, x.shape[2])
        if cells.shape[1] == self.grid[0] * self.grid[1]:
            cells = cells.unflatten(1, self.grid).transpose(2, 3)
        return cells.flatten(1, -2)


def _upsample(dim: int) -> nn.Module:
    return nn.ConvTranspose2d(dim, dim // 2, kernel_size=2, stride=2)


def _upsample_tokens(x: Float[Tensor, "b n d"], layer: nn.ConvTranspose2d) -> Float[Tensor, "b 4*n e"]:
    """A transposed convolution on tokens: every cell becomes its four quarters in raster order."""
    assert layer.bias is not None
    weight = layer.weight.permute(2, 3, 1, 0)
    return F.linear(x, weight.flatten(0, 2), layer.bias.repeat(4)).unflatten(2, (4, -1)).flatten(1, 2)


def _pointwise(x: Float[Tensor, "b n d"], layer: nn.Module) -> Float[Tensor, "b n e"]:
    """An image layer that acts on each position separately, applied to tokens."""
    if isinstance(layer, nn.Conv2d):
        return F.linear(x, layer.weight.flatten(1), layer.bias)
    if isinstance(layer, nn.LayerNorm):
        return F.layer_norm(x, layer.normalized_shape, layer.weight, layer.bias, layer.eps)
    return layer(x)
