"""Feature pyramids for detection: ViTDet's on the last block of a ViT, FPN on the stages of a Swin."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from timm.layers import LayerNorm2d
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

from mimbench.evaluation.dense.resizing import AnySize

Levels = OrderedDict[str, Tensor]


class SimplePyramid(nn.Module):
    """Four levels from one map, by deconvolution and pooling, and a fifth by taking every second cell of the fourth.

    Scales 4, 2, 1, 1/2 of the map; then 1x1 and 3x3 convolutions, each with a LayerNorm (ViTDet, section 3).

    Args:
        width: Channels of the map.
        out_channels: Channels of every level.
    """

    def __init__(self, width: int, out_channels: int = 256):
        super().__init__()
        half, quarter = width // 2, width // 4
        self.levels = nn.ModuleList(
            [
                nn.Sequential(
                    nn.ConvTranspose2d(width, half, 2, 2),
                    LayerNorm2d(half),
                    nn.GELU(),
                    nn.ConvTranspose2d(half, quarter, 2, 2),
                    *_smooth(quarter, out_channels),
                ),
                nn.Sequential(nn.ConvTranspose2d(width, half, 2, 2), *_smooth(half, out_channels)),
                nn.Sequential(*_smooth(width, out_channels)),
                nn.Sequential(nn.MaxPool2d(2, 2, ceil_mode=True), *_smooth(width, out_channels)),
            ]
        )

    def forward(self, x: Float[Tensor, "b d h w"]) -> list[Tensor]:
        """The five levels "b c h w", the finest first."""
        return _and_coarser([level(x) for level in self.levels])


class StagePyramid(nn.Module):
    """FPN (Lin et al. 2017; torchvision's) on normed stages, and a level that takes every second cell of the last.

    Args:
        widths: Channels of the stages, the finest first.
    """

    def __init__(self, widths: list[int], out_channels: int = 256):
        super().__init__()
        self.norms = nn.ModuleList(LayerNorm2d(width) for width in widths)
        self.fpn = FeaturePyramidNetwork(widths, out_channels)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Stages "b d h w" to levels "b c h w", the finest first."""
        normed = OrderedDict((str(i), norm(x)) for i, (norm, x) in enumerate(zip(self.norms, maps, strict=True)))
        return _and_coarser(list(self.fpn(normed).values()))


class Backbone(nn.Module):
    """An encoder at any image size with the pyramid of its family.

    Args:
        frozen: Whether the encoder stays in evaluation mode and gets no gradient.

    Attributes:
        out_channels: Of every level; torchvision's detectors ask for it.
        strides: Pixels per cell of the levels.

    Raises:
        ValueError: The pyramid's finest level would be finer than a pixel.
    """

    def __init__(self, encoder: AnySize, out_channels: int = 256, frozen: bool = False):
        super().__init__()
        self.encoder, self.out_channels, self.frozen = encoder, out_channels, frozen
        cells = [encoder.cells[depth] for depth in self.depths]
        widths = [encoder.widths[depth] for depth in self.depths]
        if self.hierarchical:
            self.pyramid: nn.Module = StagePyramid(widths, out_channels)
            strides = [*cells, 2 * cells[-1]]
        else:
            self.pyramid = SimplePyramid(widths[0], out_channels)
            strides = [cells[0] * 2**i // 4 for i in range(5)]
            if cells[0] % 4:
                raise ValueError(f"Patches of {cells[0]} px cannot be quartered; detection needs a multiple of 4 px.")
        self.strides = tuple(strides)

    @property
    def hierarchical(self) -> bool:
        """Whether the encoder has stages of several resolutions."""
        return len(set(self.encoder.cells.values())) > 1

    @property
    def depths(self) -> list[int]:
        """What the pyramid reads: a ViT's last block, all stages of a Swin."""
        last = max(self.encoder.cells)
        return list(range(1, last + 1)) if self.hierarchical else [last]

    def train(self, mode: bool = True) -> "Backbone":
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, images: Float[Tensor, "b 3 h w"], sizes: Int[Tensor, "b 2"]) -> Levels:
        """Levels by name, "0" the finest.

        Args:
            sizes: True height and width of every image; the rest is padding.
        """
        # A Swin's stages are normed anew, all alike.
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            maps = self.encoder(images, self.depths, sizes, normed=not self.hierarchical)
        found = [maps[depth] for depth in self.depths]
        levels = self.pyramid(found if self.hierarchical else found[0])
        return OrderedDict((str(i), level) for i, level in enumerate(levels))


def _smooth(width: int, out_channels: int) -> list[nn.Module]:
    return [
        nn.Conv2d(width, out_channels, 1, bias=False),
        LayerNorm2d(out_channels),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        LayerNorm2d(out_channels),
    ]


def _and_coarser(levels: list[Tensor]) -> list[Tensor]:
    return [*levels, F.max_pool2d(levels[-1], 1, 2)]
