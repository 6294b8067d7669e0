"""Tokens with their positions in the image."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mimbench.core.mask import Grid


def take(x: Float[Tensor, "b n d"], index: Int[Tensor, "b m"]) -> Float[Tensor, "b m d"]:
    """Selects vectors by their position in the sequence, for each image."""
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))


@dataclass(frozen=True)
class Tap:
    """Shapes of an encoder's output at one depth.

    Attributes:
        width: Channels of a token.
        grid: Patches of a full image, (rows, columns).
        cell: Side of a patch in pixels.
        prefix: Class and register tokens in front of the patches.
    """

    width: int
    grid: Grid
    cell: int
    prefix: int = 0


@dataclass(frozen=True)
class Tokens:
    """Visible tokens at one depth of an encoder.

    Attributes:
        patches: Tokens of the visible patches.
        prefix: Class and register tokens; p may be 0.
        index: Raster position of every patch token on `grid`.
        grid: Rows and columns of the full patch grid at this depth.
    """

    patches: Float[Tensor, "b v d"]
    prefix: Float[Tensor, "b p d"]
    index: Int[Tensor, "b v"]
    grid: Grid

    @property
    def sequence(self) -> Float[Tensor, "b s d"]:
        """Prefix and patches as one sequence."""
        return torch.cat([self.prefix, self.patches], dim=1)

    def with_sequence(self, sequence: Float[Tensor, "b s e"]) -> "Tokens":
        """Tokens at the same positions with other vectors, of any width."""
        p = self.prefix.shape[1]
        return Tokens(sequence[:, p:], sequence[:, :p], self.index, self.grid)

    def fill(self, mask_token: Float[Tensor, "1 1 d"]) -> Float[Tensor, "b n d"]:
        """The full grid in raster order: patch tokens at their positions, `mask_token` everywhere else."""
        b, _, d = self.patches.shape
        full = mask_token.to(self.patches.dtype).expand(b, self.grid[0] * self.grid[1], d)
        return full.scatter(1, self.index[..., None].expand(-1, -1, d), self.patches)
