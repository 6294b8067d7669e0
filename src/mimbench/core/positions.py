"""Fixed two-dimensional sine-cosine position embeddings."""

import torch
from jaxtyping import Float
from torch import Tensor

from mimbench.core.mask import Grid


def sincos_2d(dim: int, grid: Grid, num_prefix: int = 0, row_first: bool = False) -> Float[Tensor, "1 n dim"]:
    """Position embeddings of a grid in raster order, preceded by zeros for the prefix tokens.

    The first half of the channels encodes the column, the second half the row (MAE, released table); with `row_first`
    the other way round (MoCo v3's, used by MFF).

    Raises:
        ValueError: `dim` is not a multiple of 4.
    """
    if dim % 4:
        raise ValueError(f"Sine-cosine position embeddings need a width that is a multiple of 4, got {dim}.")
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in grid), indexing="ij")
    omega = 10_000 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    angles = [axis.flatten()[:, None] * omega for axis in ((rows, columns) if row_first else (columns, rows))]
    table = torch.cat([f(a) for a in angles for f in (torch.sin, torch.cos)], dim=1)
    return torch.cat([table.new_zeros(num_prefix, dim), table]).float()[None]
