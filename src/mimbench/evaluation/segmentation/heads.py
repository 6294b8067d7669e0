"""Segmentation heads: feature maps to logits per pixel."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mimbench.evaluation.dense.pyramid import Pyramid
from mimbench.evaluation.dense.resizing import AnySize
from mimbench.evaluation.segmentation.sliding import resized

_POOLED = (1, 2, 3, 6)


class LinearHead(nn.Module):
    """Batch norm without learned scale and a 1x1 convolution on frozen features of one or several depths.

    Feature maps of several depths are concatenated at the highest resolution among them.
    """

    def __init__(self, encoder: AnySize, depths: Sequence[int], num_classes: int):
        super().__init__()
        self.encoder, self.depths = encoder.requires_grad_(False), tuple(depths)
        width = sum(encoder.widths[depth] for depth in self.depths)
        self.norm, self.classify = nn.BatchNorm2d(width, affine=False), nn.Conv2d(width, num_classes, 1)

    def train(self, mode: bool = True) -> "LinearHead":
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b c h w"], None]:
        with torch.no_grad():
            found = self.encoder(images, self.depths)
        maps = [found[depth] for depth in self.depths]
        largest = max(y.shape[-2] for y in maps), max(y.shape[-1] for y in maps)
        stacked = torch.cat([y if y.shape[-2:] == largest else resized(y, *largest) for y in maps], dim=1)
        return to_image_size(self.classify(self.norm(stacked)), self.encoder, images), None


class UPerNet(nn.Module):
    """Pyramid pooling on the coarsest level and top-down fusion of four levels (Xiao et al. 2018; MMSegmentation).

    In training mode it also returns the logits of an auxiliary head with one convolution on the third level.
    """

    def __init__(self, pyramid: Pyramid, num_classes: int, channels: int = 512, auxiliary_channels: int = 256):
        super().__init__()
        widths = pyramid.widths
        self.pyramid = pyramid
        self.pooled = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(n), *convolution(widths[-1], channels, 1)) for n in _POOLED
        )
        self.bottleneck = convolution(widths[-1] + len(_POOLED) * channels, channels, 3)
        self.lateral = nn.ModuleList(convolution(width, channels, 1) for width in widths[:-1])
        self.smooth = nn.ModuleList(convolution(channels, channels, 3) for _ in widths[:-1])
        self.fuse = convolution(len(widths) * channels, channels, 3)
        self.classify = nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(channels, num_classes, 1))
        self.auxiliary = nn.Sequential(
            *convolution(widths[2], auxiliary_channels, 3),
            nn.Dropout2d(0.1),
            nn.Conv2d(auxiliary_channels, num_classes, 1),
        )

    def forward(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c h w"] | None]:
        levels = self.pyramid(images)
        encoder = self.pyramid.encoder
        auxiliary = to_image_size(self.auxiliary(levels[2]), encoder, images) if self.training else None
        maps = [lateral(level) for lateral, level in zip(self.lateral, levels[:-1], strict=True)]
        top = levels[-1]
        pooled = [resized(pool(top), top.shape[-2], top.shape[-1]) for pool in self.pooled]
        maps.append(self.bottleneck(torch.cat([top, *pooled], dim=1)))
        for i in reversed(range(len(maps) - 1)):
            maps[i] = maps[i] + resized(maps[i + 1], maps[i].shape[-2], maps[i].shape[-1])
        maps = [smooth(level) for smooth, level in zip(self.smooth, maps[:-1], strict=True)] + maps[-1:]
        height, width = maps[0].shape[-2:]
        fused = self.fuse(torch.cat([maps[0], *(resized(level, height, width) for level in maps[1:])], dim=1))
        return to_image_size(self.classify(fused), encoder, images), auxiliary


def convolution(width: int, channels: int, kernel: int) -> nn.Sequential:
    """A convolution with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(width, channels, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
    )


def to_image_size(
    logits: Float[Tensor, "b c _ _"], encoder: AnySize, images: Float[Tensor, "b 3 h w"]
) -> Float[Tensor, "b c h w"]:
    """Logits at the size of the images, without the padding for the encoder."""
    height, width = images.shape[-2:]
    padded = height + -height % encoder.multiple, width + -width % encoder.multiple
    return resized(logits, *padded)[..., :height, :width]


def pixel_loss(logits: Float[Tensor, "b c h w"], classes: Tensor, ignored: int) -> Float[Tensor, ""]:
    """Mean cross-entropy over all pixels whose class is not `ignored`; 0 if there are none."""
    total = F.cross_entropy(logits.float(), classes.long(), ignore_index=ignored, reduction="sum")
    return total / (classes != ignored).sum().clamp(min=1)
