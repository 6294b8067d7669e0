"""Patch embedding of the visible patches."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from timm.layers import PatchEmbed
from torch import Tensor, nn


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
