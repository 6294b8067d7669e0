"""Mean distance of attention."""

import torch
from jaxtyping import Float
from torch import Tensor

from mimbench.core import Grid


def attention_distance(log_attention: Float[Tensor, "b h n n"], grid: Grid, cell: int) -> Float[Tensor, " h"]:
    """Mean distance in pixels between a patch and the patches it attends to, weighted by attention, per head.

    Dosovitskiy et al. 2021 (arXiv 2010.11929, section 4.5), Raghu et al. 2021 (arXiv 2108.08810). Distances are between
    centers of patches; the mean is over images and queries.

    Args:
        log_attention: Among patches in raster order, see `among_patches`.
        cell: Side of a patch in pixels.
    """
    return (log_attention.exp() * distances(grid, cell).to(log_attention)).sum(-1).mean((0, 2))


def uniform_distance(grid: Grid, cell: int) -> float:
    """The value of `attention_distance` for uniform attention."""
    return float(distances(grid, cell).mean())


def distances(grid: Grid, cell: int) -> Float[Tensor, "n n"]:
    """Euclidean distances in pixels between the centers of patches, in raster order."""
    rows, columns = torch.meshgrid(*(torch.arange(side, dtype=torch.float64) for side in grid), indexing="ij")
    places = cell * torch.stack([rows.flatten(), columns.flatten()], dim=1)
    return (places[:, None] - places).norm(dim=2)
