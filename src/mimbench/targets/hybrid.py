"""Raw pixels mixed with the reconstruction of a pre-trained MAE."""

from collections.abc import Hashable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mimbench.core import Mask
from mimbench.targets.base import Target
from mimbench.targets.pixel import PixelTarget


class HybridTarget(PixelTarget):
    """alpha * raw + (1 - alpha) * reconstructed pixels, both standardized per patch (DeepMIM, hybrid targets).

    The paper does not say in which space to mix; here both parts are standardized, since the teacher predicts
    standardized pixels. An instance is the target of the deepest decoder; `per_decoder` returns one for every decoder.

    Args:
        cell: Side of a cell in pixels.
        teacher: A pre-trained MAE on standardized pixels. Called with images and a mask, it returns an object whose
            last entry of `predictions` is the reconstruction. Its weights stay frozen.
        alphas: Share of the raw pixels by decoder, from shallow to deep; by default equal steps from 0 to 1, the
            paper's 0, 1/3, 2/3, 1 for four decoders.

    Raises:
        ValueError: The teacher does not predict standardized pixels of the same cells, or an alpha is not between 0
            and 1.
    """

    def __init__(self, cell: int, teacher: nn.Module, alphas: Sequence[float] | None = None):
        super().__init__(cell)
        pixels = list(getattr(teacher, "targets", []))[-1:]
        if not pixels or type(pixels[0]) is not PixelTarget or not pixels[0].normalize:
            raise ValueError(
                "A hybrid target needs a teacher that predicts standardized pixels: an MAE with target=pixel."
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
        """Keeps the teacher in evaluation mode."""
        return super().train(False)

    def per_decoder(self, count: int) -> Sequence[Target]:
        if self.alphas is not None and len(self.alphas) != count:
            raise ValueError(f"A hybrid target needs one alpha for each of {count} decoders, got {self.alphas}.")
        if self.alphas is None and count == 1:
            raise ValueError(
                "By default the deepest decoder of a hybrid target predicts raw pixels, so a single decoder would not "
                "use the teacher; use method=deepmim, or give the share of raw pixels: target.alphas=[0.5]."
            )
        alphas = self.alphas or [i / (count - 1) for i in range(count)]
        return [HybridTarget(self.cell, self.teacher, [alpha]) for alpha in alphas]

    @property
    def preparation(self) -> Hashable:
        return id(self.teacher)

    def prepare(self, images: Float[Tensor, "b c h w"], mask: Mask | None = None) -> Float[Tensor, "2 b n d"]:
        if mask is None:
            raise ValueError("A hybrid target depends on the mask; call it with images and mask.")
        return torch.stack([super().values(images), self.teacher(images, mask).predictions[-1]])

    def values(self, prepared: Float[Tensor, "2 b n d"]) -> Float[Tensor, "b n d"]:
        raw, reconstructed = prepared
        return torch.lerp(reconstructed, raw, self.alpha)
