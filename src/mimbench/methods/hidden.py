"""What the loss sees: the hidden part of an image."""

from jaxtyping import Float, Int
from torch import Tensor

from mimbench.core import Mask, Tokens, take
from mimbench.decoders import ScaleHead, TokenDecoder
from mimbench.targets import Target


def hidden_patches(decoder: TokenDecoder, tokens: Tokens, mask: Mask | None) -> Int[Tensor, "b m"] | None:
    """The patches a decoder must predict when the loss sees nothing but what `mask` hides; None for all of them.

    All of them where visible and hidden patches meet in a cell, or where no mask is given.
    """
    if mask is None:
        return None
    if isinstance(decoder.head, ScaleHead) and decoder.head.scale != 1:
        own_grid = tokens.grid == tuple(mask.hidden.shape[1:])  # else the cells would come in another order
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
    """Error of a prediction, averaged over what was hidden.

    Args:
        prediction: For all cells, or for the hidden ones alone in the order of `Mask.cells`.
    """
    grid = target.grid(images)
    if prediction.shape[1] < value.shape[1]:
        return target.error(prediction, take(value, mask.cells(grid))).mean()
    weights = mask.weights(grid)
    return (target.error(prediction, value) * weights).sum() / weights.sum()
