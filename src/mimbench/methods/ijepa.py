"""I-JEPA: latent features of blocks predicted from a context (Assran et al., 2023, arXiv 2301.08243)."""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mimbench.core import Regions, Tokens, keys, mix, take
from mimbench.decoders import RegionPredictor
from mimbench.encoders import Encoder
from mimbench.maskers import Masker, MultiBlockMasker
from mimbench.methods.base import Method
from mimbench.targets import LatentTarget, TargetAt, target_values

EXPORTS = ("momentum", "online")


class IJEPA(Method):
    """Predicts features of a moving average of the encoder in several blocks, without pixels.

    The average sees the whole image, the encoder only the context. It is updated after every optimizer step and is part
    of the checkpoint.

    Args:
        masker: Draws contexts and target blocks.
        target: Must be `LatentTarget`.
        num_heads: Attention heads of the predictor; by default the encoder's.
        momentum: Share of the average that every step keeps, at the first step and at the end; linear between.
        export: Whether the "momentum" encoder is exported and evaluated, as in the paper, or the trained "online" one.

    Raises:
        ValueError: Masker or target are others, the grid is too small for the blocks, or the encoder is no ViT.
    """

    draws_regions = True
    keeps_average = True

    def __init__(
        self,
        encoder: Encoder,
        masker: Masker,
        target: TargetAt,
        dim: int = 384,
        num_blocks: int = 12,
        num_heads: int | None = None,
        mlp_ratio: float = 4.0,
        momentum: Sequence[float] = (0.996, 1.0),
        export: str = "momentum",
    ):
        super().__init__(encoder, masker)
        if export not in EXPORTS:
            raise ValueError(f"method.export must be one of {', '.join(EXPORTS)}; got '{export}'.")
        if len(momentum) != 2 or not all(0 <= share <= 1 for share in momentum):
            raise ValueError(
                f"method.momentum is {list(momentum)}; it must be two numbers from 0 to 1, such as [0.996, 1]."
            )
        tap = encoder.taps[-1]
        if encoder.taps[0].grid != tap.grid:
            raise ValueError(
                "I-JEPA drops patches before the first block and needs one grid for all depths; use a ViT."
            )
        assert isinstance(masker, MultiBlockMasker)
        masker.check(encoder.mask_grid)
        self.blocks = masker
        latent = target(tap.cell)
        if not isinstance(latent, LatentTarget):
            raise ValueError("I-JEPA predicts latent features, not the values of another target; set target=latent.")
        self.depths = (encoder.depth,)
        self.target = latent
        self.target.follow(encoder)
        self.momentum, self.export = (float(momentum[0]), float(momentum[1])), export
        attention: Any = encoder.trunk.get_submodule("blocks.0.attn")
        heads = int(num_heads or attention.num_heads)
        self.predictor = RegionPredictor(tap, dim, num_blocks, heads, mlp_ratio)

    @property
    def exported(self) -> Encoder:
        average = self.target.encoder
        return average if self.export == "momentum" and isinstance(average, Encoder) else self.encoder

    def draw_mask(self, index: Int64[Tensor, " b"], epoch: int, step: int = 0) -> Regions:
        """The regions of images in an epoch; the sizes of the blocks depend on the step."""
        step_key = mix(self.seed, int(epoch < 0), step)
        return self.blocks.from_keys(keys(index, self.seed, epoch), self.mask_grid, step_key=step_key)

    def encode(
        self, images: Float[Tensor, "b c h w"], mask: Regions, depths: Collection[int] | None = None
    ) -> dict[int, Tokens]:
        """Tokens of all contexts, context outermost, then image."""
        wanted = self.depths if depths is None else depths
        found = [self.encoder(images, wanted, one) for one in mask.masks()]
        return {depth: _joined([tokens[depth] for tokens in found]) for depth in found[0]}

    def predict(self, features: dict[int, Tokens], mask: Any = None) -> list[Tensor]:
        """Predictions of every target block from every context, target block outermost, then context, then image.

        Args:
            mask: The regions.
        """
        if mask is None:
            raise ValueError("I-JEPA predicts the blocks that are drawn with the context; pass the regions.")
        return [self.predictor(features[self.depths[-1]], mask.targets)]

    def losses(
        self, images: Float[Tensor, "b c h w"], predictions: list[Tensor], mask: Any
    ) -> dict[str, Float[Tensor, ""]]:
        regions: Regions = mask
        value = target_values([self.target], images)[self.target]
        num_contexts, batch = regions.contexts.shape[:2]
        shape = len(regions.targets), num_contexts, batch, *predictions[0].shape[1:]
        by_block = predictions[0].reshape(shape)
        terms: dict[str, Float[Tensor, ""]] = {}
        for k, index in enumerate(regions.targets):
            wanted = take(value, index)
            for e in range(num_contexts):
                name = f"block{k}" if num_contexts == 1 else f"block{k}_context{e}"
                terms[name] = self.target.error(by_block[k, e], wanted).mean()
        return terms

    def combine(self, terms: Sequence[Float[Tensor, ""]]) -> Float[Tensor, ""]:
        return torch.stack(list(terms)).mean()

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Steps, and then updates the moving average with the new weights."""
        step = self.trainer.global_step
        super().optimizer_step(*args, **kwargs)
        self.target.update(self.encoder, self.momentum_at(step, self.total_steps()))

    def momentum_at(self, step: int, total: float) -> float:
        """Share of the average that a step keeps."""
        first, last = self.momentum
        return first + (last - first) * min(1.0, step / total)

    def start_from_encoder(self) -> None:
        self.target.follow(self.encoder)


def _joined(tokens: Sequence[Tokens]) -> Tokens:
    if len(tokens) == 1:
        return tokens[0]
    first = tokens[0]
    patches, prefix, index = (torch.cat([getattr(t, name) for t in tokens]) for name in ("patches", "prefix", "index"))
    return Tokens(patches, prefix, index, first.grid)
