"""Raw pixels mixed with what a pre-trained MAE makes of the visible ones."""

from collections.abc import Hashable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mimbench.core import Mask
from mimbench.targets.base import Target
from mimbench.targets.pixel import PixelTarget


class HybridTarget(PixelTarget):
    """alpha * raw + (1 - alpha) * reconstructed pixels, both standardised per patch (DeepMIM, hybrid targets).

    The paper does not say where to mix; a teacher of standardised pixels lives in that space, and so does the raw part.
    Alone it is the target of the deepest decoder; `spread` gives every decoder its own.

    Args:
        cell: Side of a cell in pixels.
        teacher: A pre-trained MAE on standardised pixels. Called with images and mask it returns something whose
            `predictions` end with its reconstruction. Its weights never change.
        alphas: Share of the raw pixels by decoder, from shallow to deep; by default even steps from 0 to 1, the paper's
            0, 1/3, 2/3, 1 for four.

    Raises:
        ValueError: The teacher predicts something else than standardised pixels of the same cells, or an alpha is not
            between 0 and 1.
    """

    def __init__(self, cell: int, teacher: nn.Module, alphas: Sequence[float] | None = None):
        super().__init__(cell)
        pixels = list(getattr(teacher, "targets", []))[-1:]
        if not pixels or type(pixels[0]) is not PixelTarget or not pixels[0].normalize:
            raise ValueError(
                "Hybrid targets need a teacher that predicts standardised pixels: an MAE with target=pixel."
            )
        if pixels[0].cell != cell:
            raise ValueError(
                f"The teacher reconstructs patches of {pixels[0].cell} px, the student has patches of {cell} px; "
                "pre-train a teacher with the student's patch size."
            )
        if alphas is not None and not (alphas and all(0 <= alpha <= 1 for alpha in alphas)):
            raise ValueError(f"alphas must be shares of the raw pixels between 0 and 1, got {list(alphas)}.")
        self.teacher = teacher.eval().requires_grad_(False)
        self.alphas = None if alphas is None else [float(alpha) for alpha in alphas]
        self.alpha = 1.0 if self.alphas is None else self.alphas[-1]

    def train(self, mode: bool = True) -> "HybridTarget":
        """A teacher stays in evaluation mode."""
        return super().train(False)

    def spread(self, count: int) -> Sequence[Target]:
        if self.alphas is not None and len(self.alphas) != count:
            raise ValueError(f"Hybrid targets need an alpha for each of {count} decoders, got {self.alphas}.")
        if self.alphas is None and count == 1:
            raise ValueError(
                "A hybrid target goes from the teacher's pixels to raw ones over several decoders, and the last one's "
                "are raw; with one decoder take method=deepmim, or give the share of raw pixels: target.alphas=[0.5]."
            )
        alphas = self.alphas or [i / (count - 1) for i in range(count)]
        return [HybridTarget(self.cell, self.teacher, [alpha]) for alpha in alphas]

    @property
    def preparation(self) -> Hashable:
        return id(self.teacher)

    def prepare(self, images: Float[Tensor, "b c h w"], mask: Mask | None = None) -> Float[Tensor, "2 b n d"]:
        if mask is None:
            raise ValueError("A hybrid target depends on what is hidden; call it with the mask.")
        return torch.stack([super().values(images), self.teacher(images, mask).predictions[-1]])

    def values(self, prepared: Float[Tensor, "2 b n d"]) -> Float[Tensor, "b n d"]:
        raw, reconstructed = prepared
        return torch.lerp(reconstructed, raw, self.alpha)
