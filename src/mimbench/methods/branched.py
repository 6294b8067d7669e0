"""Methods with independent decoders at one or several depths."""

from collections.abc import Iterable, Sequence
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from mimbench.core import Mask, Tokens
from mimbench.decoders import TokenDecoder
from mimbench.encoders import Encoder
from mimbench.maskers import Masker
from mimbench.methods.base import Method
from mimbench.methods.hidden import hidden_mean, hidden_patches
from mimbench.targets import PixelTarget, Target, target_values


class BranchedMethod(Method):
    """One decoder and one target per depth; the objective is the sum of their losses."""

    def __init__(
        self,
        encoder: Encoder,
        masker: Masker,
        depths: Sequence[int],
        decoders: Sequence[TokenDecoder],
        targets: Sequence[Target],
        encode_hidden: bool = False,
    ):
        super().__init__(encoder, masker, encode_hidden)
        self.depths = tuple(depths)
        self.decoders = nn.ModuleList(decoders)
        self.targets = nn.ModuleList(targets)

    @property
    def branches(self) -> list[tuple[int, Target]]:
        targets = [target for target in self.targets if isinstance(target, Target)]
        return list(zip(self.depths, targets, strict=True))

    def predict(self, features: dict[int, Tokens], mask: Mask | None = None) -> list[Tensor]:
        branches = zip(self.depths, cast("Iterable[TokenDecoder]", self.decoders), strict=True)
        return [
            decoder(decoder.embed(features[depth]), index=hidden_patches(decoder, features[depth], mask))
            for depth, decoder in branches
        ]

    def losses(
        self, images: Float[Tensor, "b c h w"], predictions: list[Tensor], mask: Mask
    ) -> dict[str, Float[Tensor, ""]]:
        values = target_values([target for _, target in self.branches], images, mask)
        return {
            f"depth{depth}": hidden_mean(target, images, values[target], prediction, mask)
            for (depth, target), prediction in zip(self.branches, predictions, strict=True)
        }

    def to_images(self, images: Float[Tensor, "b c h w"], predictions: list[Tensor]) -> dict[str, Tensor]:
        branches = zip(self.branches, predictions, strict=True)
        return {f"depth{d}": t.to_image(p, images) for (d, t), p in branches if isinstance(t, PixelTarget)}
