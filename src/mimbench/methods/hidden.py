"""The hidden part of an image in predictions, losses and reconstructions."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mimbench.core import Mask, Tokens, take
from mimbench.decoders import ScaleHead, TokenDecoder
from mimbench.targets import Target


def hidden_patches(decoder: TokenDecoder, tokens: Tokens, mask: Mask | None) -> Int[Tensor, "b m"] | None:
    """Raster positions of the patches that a decoder must predict for a loss on the hidden cells.

    None means all patches: without a mask, and where a cell may cover both visible and hidden patches.
    """
    if mask is None:
        return None
    if isinstance(decoder.head, ScaleHead) and decoder.head.scale != 1:
        own_grid = tokens.grid == tuple(mask.hidden.shape[1:])  # otherwise the order of the cells would differ
        if decoder.head.scale < 1 or not own_grid:
            return None
    return mask.cells(tokens.grid)


def hidden_mean(
    target: Target,
    images: Float[Tensor, "b c h w"],
    value: Float[Tensor, "b n d"],
    prediction: Float[Tensor, "b m d"],
    mask: Mask,
) -> Float[Tensor, ""]:
    """Mean error of a prediction over the predicted cells.

    Args:
        prediction: Of all cells, or of the predicted cells in the order of `Mask.cells`.
    """
    grid = target.grid(images)
    if prediction.shape[1] < value.shape[1]:
        return target.error(prediction, take(value, mask.cells(grid))).mean()
    weights = mask.weights(grid)
    return (target.error(prediction, value) * weights).sum() / weights.sum()


def composite(
    images: Float[Tensor, "b c h w"], predicted: Mapping[str, Float[Tensor, "b c h w"]], mask: Mask
) -> dict[str, Float[Tensor, "b c h w"]]:
    """The images, their visible part on gray, and every predicted image with the visible part of the original.

    Args:
        predicted: Images by name, as `Method.to_images` returns them.
    """
    hidden = mask.hides((images.shape[2], images.shape[3])).reshape(len(images), 1, *images.shape[2:])
    composed = {name: torch.where(hidden, image, images) for name, image in predicted.items()}
    return {"image": images, "visible": images * ~hidden} | composed
