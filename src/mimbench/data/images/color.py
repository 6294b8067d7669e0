"""Random brightness, contrast and saturation."""

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor

_LUMA = (0.2989, 0.587, 0.114)  # as in torchvision


def jitter(
    images: Float32[Tensor, "b 3 h w"], draws: Float64[np.ndarray, "b 3"], strength: float
) -> Float32[Tensor, "b 3 h w"]:
    """Scales brightness, contrast and saturation, in this order, by factors between 1 - strength and 1 + strength.

    Like torchvision's ColorJitter without hue, but in a fixed order.

    Args:
        images: Values in [0, 255].
        draws: Random numbers from [0, 1), three per image.
    """
    factors = torch.from_numpy(1 + strength * (2 * draws - 1)).float()[..., None, None, None]
    brightness, contrast, saturation = factors.unbind(1)
    images = (images * brightness).clamp_(0, 255)
    images = torch.lerp(_gray(images).mean((2, 3), keepdim=True), images, contrast).clamp_(0, 255)
    return torch.lerp(_gray(images), images, saturation).clamp_(0, 255)


def _gray(images: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b 1 h w"]:
    return (images * torch.tensor(_LUMA).view(3, 1, 1)).sum(1, keepdim=True)
