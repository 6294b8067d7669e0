"""Feature pyramids for detection: ViTDet's simple pyramid on a ViT, FPN on a Swin."""

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
    """Five levels from one feature map (ViTDet, section 3).

    Transposed convolutions and pooling give 4, 2, 1 and 1/2 times its resolution, each followed by a 1x1 and a 3x3
    convolution with LayerNorm. The fifth level takes every second cell of the fourth.

    Args:
        width: Channels of the feature map.
        out_channels: Channels of each level.
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
        """Returns the five levels "b c h w", the finest first."""
        return _add_coarser([level(x) for level in self.levels])


class StagePyramid(nn.Module):
    """torchvision's FPN (Lin et al. 2017) on normalized stages, and a level with every second cell of the last.

    Args:
        widths: Channels of the stages, the finest first.
    """

    def __init__(self, widths: list[int], out_channels: int = 256):
        super().__init__()
        self.norms = nn.ModuleList(LayerNorm2d(width) for width in widths)
        self.fpn = FeaturePyramidNetwork(widths, out_channels)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps stages "b d h w" to levels "b c h w", the finest first."""
        normalized = OrderedDict((str(i), norm(x)) for i, (norm, x) in enumerate(zip(self.norms, maps, strict=True)))
        return _add_coarser(list(self.fpn(normalized).values()))


class Backbone(nn.Module):
    """An encoder for images of any size with the pyramid of its family.

    Args:
        frozen: Whether the encoder stays in evaluation mode and gets no gradient.

    Attributes:
        out_channels: Channels of each level; torchvision's detectors read this attribute.
        strides: Pixels per cell of each level.

    Raises:
        ValueError: The side of a ViT's patches is not a multiple of 4 px.
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
                raise ValueError(
                    f"The patches have {cells[0]} px; detection needs a patch size that is a multiple of 4 px."
                )
        self.strides = tuple(strides)

    @property
    def hierarchical(self) -> bool:
        """Whether the encoder has stages of several resolutions."""
        return len(set(self.encoder.cells.values())) > 1

    @property
    def depths(self) -> list[int]:
        """Depths that the pyramid reads: the last block of a ViT, all stages of a Swin."""
        last = max(self.encoder.cells)
        return list(range(1, last + 1)) if self.hierarchical else [last]

    def train(self, mode: bool = True) -> "Backbone":
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, images: Float[Tensor, "b 3 h w"], sizes: Int[Tensor, "b 2"]) -> Levels:
        """Returns the levels by name, "0" for the finest.

        Args:
            sizes: Height and width of every image in pixels, without padding.
        """
        # The pyramid normalizes all stages of a Swin.
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


def _add_coarser(levels: list[Tensor]) -> list[Tensor]:
    return [*levels, F.max_pool2d(levels[-1], 1, 2)]
