"""Uniformly random masks."""

from jaxtyping import Int64
from torch import Tensor

from mimbench.core import Grid, integers
from mimbench.maskers.base import Masker


class RandomMasker(Masker):
    """Hides cells drawn uniformly without replacement (MAE, section 3)."""

    def order(self, keys: Int64[Tensor, " b"], grid: Grid) -> Int64[Tensor, "b n"]:
        return integers(keys, grid[0] * grid[1]).argsort(dim=1).argsort(dim=1)
