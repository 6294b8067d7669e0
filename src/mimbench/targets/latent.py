"""Features of a moving average of the encoder as targets."""

import copy
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mimbench.core import Mask
from mimbench.targets.base import Target

# PyTorch's default for a layer norm without weights, not the encoder's.
_EPS = 1e-5


class LatentTarget(Target):
    """Patch features of a moving average of the encoder that sees the whole image (I-JEPA, section 3).

    Features after the encoder's final norm are normalized once more, without weights. The error is the smooth absolute
    error. The average starts as a copy of the encoder; it is not trained.

    Attributes:
        encoder: The moving average; None until `follow` is called.
    """

    encoder: nn.Module | None

    def __init__(self, cell: int):
        super().__init__()
        self.cell = cell
        self.encoder = None

    @property
    def dim(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Channels of the encoder.

        Raises:
            ValueError: No encoder is followed.
        """
        return self._followed.taps[-1].width

    @property
    def _followed(self) -> Any:
        if self.encoder is None:
            raise ValueError("target=latent follows the encoder that is trained, which only method=ijepa does.")
        return self.encoder

    def follow(self, encoder: nn.Module) -> None:
        """Starts the average as a copy of an encoder."""
        self.encoder = copy.deepcopy(encoder).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, encoder: nn.Module, momentum: float) -> None:
        """Moves the average towards the encoder; all parameters take part, as in the released code."""
        for mine, theirs in zip(self._followed.parameters(), encoder.parameters(), strict=True):
            mine.mul_(momentum).add_(theirs, alpha=1 - momentum)

    def train(self, mode: bool = True) -> "LatentTarget":
        """Keeps the average in evaluation mode."""
        return cast("LatentTarget", super().train(False))

    def prepare(self, images: Float[Tensor, "b c h w"], mask: Mask | None = None) -> Float[Tensor, "b n d"]:
        last = self._followed.depth
        return self._followed(images, [last])[last].patches

    def values(self, prepared: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        return F.layer_norm(prepared, prepared.shape[-1:], eps=_EPS)

    def error(self, prediction: Float[Tensor, "b n d"], value: Float[Tensor, "b n d"]) -> Float[Tensor, "b n"]:
        return F.smooth_l1_loss(prediction.to(value.dtype), value, reduction="none").mean(dim=-1)
