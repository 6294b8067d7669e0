"""Uniformly random masks."""

import torch
from jaxtyping import Int
from torch import Tensor

from mimbench.core import Grid
from mimbench.maskers.base import Masker


class RandomMasker(Masker):
    """Hides cells drawn uniformly without replacement (MAE, section 3)."""

    def order(
        self, batch: int, grid: Grid, device: torch.device, generator: torch.Generator | None
    ) -> Int[Tensor, "b n"]:
        noise = torch.rand(batch, grid[0] * grid[1], device=device, generator=generator)
        return noise.argsort(dim=1).argsort(dim=1)
