"""Feature maps of an encoder at several resolutions."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mimbench.encoders import SwinEncoder
from mimbench.evaluation.dense.resizing import AnySize


class Pyramid(nn.Module):
    """Four feature maps, each with half the resolution of the previous one.

    ViT: outputs of four blocks without the final norm, resized to 4, 2, 1 and 1/2 times their resolution by two
    transposed convolutions, one transposed convolution, nothing, and max pooling (released segmentation code of BEiT,
    which MAE, DeepMIM and LocalMIM use).
    Swin: outputs of the four stages, each with a new LayerNorm (released segmentation code of Swin).

    Attributes:
        widths: Channels of every level.

    Raises:
        ValueError: `depths` are not four depths of the encoder in increasing order.
    """

    def __init__(self, encoder: AnySize, depths: Sequence[int] | None = None):
        super().__init__()
        swin = isinstance(encoder.encoder, SwinEncoder)
        last = encoder.depth
        if depths is None:
            depths = (1, 2, 3, 4) if swin else [max(1, round(last * share / 12)) for share in (4, 6, 8, 12)]
        ordered = list(depths) == sorted(depths)
        if len(depths) != 4 or not ordered or depths[0] < 1 or depths[-1] > last:
            raise ValueError(
                f"depths must be four depths between 1 and {last} in increasing order, got {list(depths)}."
            )
        self.encoder, self.depths = encoder, tuple(depths)
        self.widths = [encoder.widths[depth] for depth in depths]
        self.steps = nn.ModuleList(
            [ChannelNorm(width) for width in self.widths]
            if swin
            else [nn.Sequential(*upsample(w), nn.BatchNorm2d(w), nn.GELU(), *upsample(w)) for w in self.widths[:1]]
            + [upsample(w)[0] for w in self.widths[1:2]]
            + [nn.Identity(), nn.MaxPool2d(2, ceil_mode=True)]
        )
        freeze_unread(encoder)

    def forward(
        self, images: Float[Tensor, "b 3 h w"], sizes: Int[Tensor, "b 2"] | None = None
    ) -> list[Float[Tensor, "b _ _ _"]]:
        found = self.encoder(images, self.depths, sizes, normed=False)
        return [step(found[depth]) for step, depth in zip(self.steps, self.depths, strict=True)]


class ChannelNorm(nn.Module):
    """LayerNorm over the channels at every position."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def upsample(width: int) -> tuple[nn.Module, ...]:
    """A layer that doubles the resolution, as a tuple to unpack."""
    return (nn.ConvTranspose2d(width, width, kernel_size=2, stride=2),)


@torch.no_grad()
def freeze_unread(encoder: AnySize) -> None:
    """Freezes the layers after the last block; DDP fails if a trainable parameter gets no gradient."""
    encoder.trunk.requires_grad_(True)
    for name in ("norm", "fc_norm", "attn_pool", "head"):
        part = getattr(encoder.trunk, name, None)
        if isinstance(part, nn.Module):
            part.requires_grad_(False)
