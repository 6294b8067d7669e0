"""Draws orientation histograms."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mimbench.core import Grid

_MIN_GLYPH = 8  # side of a cell in pixels while it is drawn


def draw_histograms(
    histograms: Float[Tensor, "b n d"], grid: Grid, bins: int, side: int
) -> Float[Tensor, "b 1 side side"]:
    """Draws in each cell a line per orientation along the edges, in [0, 1], bright for strong edges.

    Args:
        histograms: Histograms of the cells in raster order; d has `bins` values per color, which are averaged.
        side: Side of the image in pixels.
    """
    glyph = max(_MIN_GLYPH, side // grid[0])
    strength = histograms.clamp(min=0).unflatten(2, (-1, bins)).mean(2)
    canvas = torch.einsum("bnk,kyx->bnyx", strength, _lines(bins, glyph).to(strength))
    canvas = canvas.unflatten(1, grid).permute(0, 1, 3, 2, 4).flatten(3, 4).flatten(1, 2)[:, None]
    canvas = canvas / canvas.amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    return F.interpolate(canvas, size=(side, side), mode="area")


def _lines(bins: int, side: int) -> Float[Tensor, "k s s"]:
    """A line through the center of a cell for each bin, perpendicular to its gradients."""
    place = torch.arange(side) - (side - 1) / 2
    y, x = place[:, None], place
    # HOGTarget's angle is atan2(horizontal, vertical gradient), so the gradient points to (sin, cos) in (x, y).
    angle = ((torch.arange(bins) + 0.5) * math.pi / bins)[:, None, None]
    off = (x * angle.sin() + y * angle.cos()).abs()
    return (1 - off).clamp(min=0)
