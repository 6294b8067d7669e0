"""Regions: patches of an image that are encoded as context, and blocks of patches that are predicted."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from mimbench.core.mask import Grid, Mask


@dataclass(frozen=True)
class Regions:
    """Contexts and target blocks of every image of a batch (I-JEPA, section 3).

    Attributes:
        contexts: Raster positions of the patches of every context, ascending.
        targets: Raster positions of the patches of every target block.
        grid: Rows and columns of patches.
    """

    contexts: Int[Tensor, "e b n"]
    targets: Int[Tensor, "k b m"]
    grid: Grid

    def masks(self) -> list[Mask]:
        """One mask per context; everything else is hidden."""
        cells = self.grid[0] * self.grid[1]
        found: list[Mask] = []
        for one in self.contexts:
            hidden = torch.ones(len(one), cells, dtype=torch.bool, device=one.device).scatter(1, one, False)
            found.append(Mask(hidden.reshape(-1, *self.grid), one.shape[1]))
        return found
