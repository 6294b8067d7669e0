"""Patch embedding of all or of the visible patches."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from timm.layers import PatchEmbed
from torch import Tensor, nn

from mimbench.core import Grid, Mask
from mimbench.encoders.base import replace_hidden


def embed_patches(
    stem: nn.Module,
    images: Float[Tensor, "b c h w"],
    mask: Mask | None,
    mask_token: Float[Tensor, "1 1 d"] | None,
    grid: Grid,
) -> tuple[Float[Tensor, "b v d"], Int[Tensor, "b v"] | None]:
    """The embeddings of the visible patches and their raster positions, or of all patches and None.

    All are embedded without a mask, and with a mask token, which then replaces the hidden ones.
    """
    if mask is None:
        return stem(images), None
    if mask_token is not None:
        return replace_hidden(stem(images), mask, grid, mask_token), None
    return embed_visible(stem, images, mask.visible), mask.visible


def all_positions(patches: Float[Tensor, "b n d"]) -> Int[Tensor, "b n"]:
    """Raster positions of a full grid of patches."""
    return torch.arange(patches.shape[1], device=patches.device).expand(len(patches), -1)


def embed_visible(
    stem: nn.Module, images: Float[Tensor, "b c h w"], index: Int[Tensor, "b v"]
) -> Float[Tensor, "b v d"]:
    """timm's patch embedding at the raster positions `index`; the other patches are not computed.

    An embedding that is more than one convolution is computed for all patches.
    """
    if type(stem) is not PatchEmbed or images.shape[2:] != stem.img_size:
        patches = stem(images).flatten(1, -2)
        return patches.gather(1, index[..., None].expand(-1, -1, patches.shape[2]))
    weight, bias = stem.proj.weight, stem.proj.bias
    height, width = weight.shape[2:]
    cut = images.unflatten(3, (-1, width)).unflatten(2, (-1, height)).permute(0, 2, 4, 1, 3, 5)
    image, columns = torch.arange(len(images), device=images.device)[:, None], cut.shape[2]
    visible = cut[image, index // columns, index % columns].flatten(2)
    return stem.norm(F.linear(visible, weight.flatten(1), bias))
