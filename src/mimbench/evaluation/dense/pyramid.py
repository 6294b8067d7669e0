"""Feature maps of several resolutions from an encoder."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mimbench.encoders import SwinEncoder
from mimbench.evaluation.dense.resizing import AnySize


class Pyramid(nn.Module):
    """Four levels, each at half the resolution of the one before.

    ViT: outputs of four blocks, at 4, 2, 1 and 1/2 times their resolution: two transposed convolutions, one, none,
    max pooling (BEiT's released segmentation code, which MAE, DeepMIM and LocalMIM use), without the final norm.
    Swin: its four stages, each with a fresh LayerNorm (Swin's released segmentation code).

    Attributes:
        widths: Channels of every level.

    Raises:
        ValueError: Depths are not four of the encoder's, from shallow to deep.
    """

    def __init__(self, encoder: AnySize, depths: Sequence[int] | None = None):
        super().__init__()
        swin = isinstance(encoder.encoder, SwinEncoder)
        last = encoder.depth
        if depths is None:
            depths = (1, 2, 3, 4) if swin else [max(1, round(last * share / 12)) for share in (4, 6, 8, 12)]
        ordered = list(depths) == sorted(depths)
        if len(depths) != 4 or not ordered or depths[0] < 1 or depths[-1] > last:
            raise ValueError(f"depths must name four depths of 1 to {last} in order, got {list(depths)}.")
        self.encoder, self.depths = encoder, tuple(depths)
        self.widths = [encoder.widths[depth] for depth in depths]
        self.steps = nn.ModuleList(
            [ChannelNorm(width) for width in self.widths]
            if swin
            else [nn.Sequential(*double(w), nn.BatchNorm2d(w), nn.GELU(), *double(w)) for w in self.widths[:1]]
            + [double(w)[0] for w in self.widths[1:2]]
            + [nn.Identity(), nn.MaxPool2d(2, ceil_mode=True)]
        )
        freeze_unread(encoder)

    def forward(
        self, images: Float[Tensor, "b 3 h w"], sizes: Int[Tensor, "b 2"] | None = None
    ) -> list[Float[Tensor, "b _ _ _"]]:
        found = self.encoder(images, self.depths, sizes, normed=False)
        return [step(found[depth]) for step, depth in zip(self.steps, self.depths, strict=True)]


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of every place."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def double(width: int) -> tuple[nn.Module, ...]:
    """Twice the resolution."""
    return (nn.ConvTranspose2d(width, width, kernel_size=2, stride=2),)


@torch.no_grad()
def freeze_unread(encoder: AnySize) -> None:
    """Everything trains but what stands behind the blocks; without a gradient it would stop distributed training."""
    encoder.trunk.requires_grad_(True)
    for name in ("norm", "fc_norm", "attn_pool", "head"):
        part = getattr(encoder.trunk, name, None)
        if isinstance(part, nn.Module):
            part.requires_grad_(False)
