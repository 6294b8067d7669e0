"""Reconstructions of the hidden part of images, as images."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mimbench.analysis.draw_hog import draw_histograms
from mimbench.core import Mask, denormalize, keys
from mimbench.methods import MIRL, Method
from mimbench.methods.hidden import composite
from mimbench.targets import HOGTarget, PixelTarget

MIN_SIDE = 96  # side of an image in a figure in pixels


def common_mask(method: Method, images: Float[Tensor, "b c h w"], seed: int = 0) -> Any:
    """A mask that is the same for all methods with the same masker and grid."""
    places = torch.arange(len(images), device=images.device)
    if method.draws_regions:
        return method.draw_mask(places, epoch=-2)
    return method.masker.from_keys(keys(places, seed), method.mask_grid, method.predicted_ratio)


@torch.no_grad()
def reconstruct(method: Method, images: Float[Tensor, "b 3 h w"], mask: Any) -> dict[str, Float[Tensor, "b 3 s s"]]:
    """Images in [0, 1] by name: the image, its visible part, and each prediction in place of the hidden part.

    MIRL: the main prediction, the residual around gray and their sum for every pair of segments. Pixel targets: one
    image per depth. HOG: the edges of the target and of the prediction for each depth. Empty for targets that are not
    images, such as features of a teacher.

    Args:
        images: Normalized images.
    """
    if method.draws_regions:
        return {}
    predictions = method.predict(method.encode(images, mask))
    if isinstance(method, MIRL) and method.pairing == "mirror":
        rows = _mirl(method, images, predictions)
    else:
        rows = method.to_images(images, predictions)
    side = images.shape[-1] * -(-MIN_SIDE // images.shape[-1])
    panels = composite(images, rows, mask)
    shown = {name: _enlarge(denormalize(panel).clamp(0, 1), side) for name, panel in panels.items()}
    edges = _edges(method, images, predictions, mask, side)
    return shown | edges if rows or edges else {}


def _mirl(method: MIRL, images: Tensor, predictions: list[Tensor]) -> dict[str, Tensor]:
    if not isinstance(target := method.target, PixelTarget):
        return {}
    rows: dict[str, Tensor] = {}
    for pair in range(len(predictions) // 2):
        main = target.to_image(predictions[pair], images)
        both = target.to_image(predictions[pair] + predictions[-1 - pair], images)
        # The mean of a standardized patch belongs to the main prediction, to which the residual is added.
        depths = method.segments[pair], method.segments[-1 - pair]
        rows[f"main, depth {depths[0]}"] = main
        rows[f"residual, depth {depths[1]}"] = both - main
        rows[f"sum, depths {depths[0]} + {depths[1]}"] = both
    return rows


def _edges(method: Method, images: Tensor, predictions: list[Tensor], mask: Mask, side: int) -> dict[str, Tensor]:
    """Targets and predictions of each scale of HOG; visible cells show the target in both."""
    rows: dict[str, Tensor] = {}
    for (depth, target), prediction in zip(method.branches, predictions, strict=False):
        if not isinstance(target, HOGTarget):
            continue
        grid, value = target.grid(images), target(images)
        hidden = mask.hides(grid)[..., None]
        for name, histograms in ("target", value), ("predicted", torch.where(hidden, prediction.to(value), value)):
            panel = draw_histograms(histograms, grid, target.bins, side)
            rows[f"{name}, depth {depth}, cells of {target.cell} px"] = panel.expand(-1, 3, -1, -1)
    return rows


def _enlarge(panels: Tensor, side: int) -> Tensor:
    return F.interpolate(panels, size=(side, side), mode="nearest")
