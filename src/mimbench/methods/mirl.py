"""MIRL: deep segments predict the residual of shallow ones (Huang et al., 2023, arXiv 2309.14136)."""

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from mimbench.core import Mask, Tokens, initialize
from mimbench.decoders import LayerNorm, TokenDecoder
from mimbench.encoders import Encoder
from mimbench.maskers import Masker
from mimbench.methods.base import Method, check_depths
from mimbench.methods.hidden import hidden_mean, hidden_patches
from mimbench.targets import PixelTarget, TargetAt, target_values

PAIRINGS = ("mirror", "sum", "none")


class MIRL(Method):
    """Pairs segment i with segment -1-i; the sum of their predictions is the image.

    The encoder is divided into segments of equal length with a decoder on each. A decoder also attends to the projected
    visible tokens of all shallower segments. The loss is the mean over pairs; no gradient is stopped.

    Args:
        depths: Ends of the segments, an even number of them; by default 6, 4 or 2 equal segments.
        num_segments: Number of equal segments if no depths are given.
        pairing: Which predictions are summed: "mirror", those of segments i and -1-i; "sum", those of all segments;
            "none", no sum, every segment predicts the image.
        cross: Whether decoders also attend to the tokens of all shallower segments.
        unit_head: Whether the heads are weight-normalized with a magnitude frozen at 1, as in all released recipes.
    """

    def __init__(
        self,
        encoder: Encoder,
        masker: Masker,
        target: TargetAt,
        depths: Sequence[int] | None = None,
        dim: int = 512,
        num_blocks: int = 2,
        num_heads: int = 16,
        unit_head: bool = True,
        mlp_ratio: float = 4.0,
        num_segments: int | None = None,
        pairing: str = "mirror",
        cross: bool = True,
    ):
        super().__init__(encoder, masker)
        if pairing not in PAIRINGS:
            raise ValueError(f"method.pairing must be one of {', '.join(PAIRINGS)}; got '{pairing}'.")
        self.segments = check_depths(depths or mirl_depths(encoder.depth, num_segments), encoder)
        if len(self.segments) % 2:
            raise ValueError(f"MIRL pairs segments, so it needs an even number of depths, got {list(self.segments)}.")
        if len({encoder.taps[depth].grid for depth in self.segments}) > 1:
            raise ValueError("MIRL sums predictions of several depths, so all must have the same grid; use a ViT.")
        self.depths = (0, *self.segments) if cross else self.segments
        [self.target] = target(encoder.taps[-1].cell).per_decoder(1)
        self.pairing = pairing
        self.stem: nn.Module | None = None
        if cross:
            self.stem = nn.Sequential(LayerNorm(encoder.taps[0].width), nn.Linear(encoder.taps[0].width, dim))
            initialize(self.stem)
        self.decoders = nn.ModuleList()
        for depth in self.segments:
            head = nn.Linear(dim, self.target.dim)
            tap, raw = encoder.taps[depth], depth < encoder.depth
            head = fix_weight_norm(head) if unit_head else head
            decoder = TokenDecoder(tap, dim, num_blocks, num_heads, head, cross, norm_input=raw, mlp_ratio=mlp_ratio)
            self.decoders.append(decoder)

    def predict(self, features: dict[int, Tokens], mask: Mask | None = None) -> list[Tensor]:
        context = [] if self.stem is None else [self.stem(features[0].sequence)]
        predictions: list[Tensor] = []
        for depth, decoder in zip(self.segments, cast("Iterable[TokenDecoder]", self.decoders), strict=True):
            embedded = decoder.embed(features[depth])
            predictions.append(decoder(embedded, *context, index=hidden_patches(decoder, embedded, mask)))
            context = [torch.cat([embedded.sequence, *context], dim=1)] if context else []
        return predictions

    def losses(
        self, images: Float[Tensor, "b c h w"], predictions: list[Tensor], mask: Mask
    ) -> dict[str, Float[Tensor, ""]]:
        value = target_values([self.target], images, mask)[self.target]
        sums = {name: _sum(summands) for name, summands in self._summands(predictions).items()}
        return {name: hidden_mean(self.target, images, value, total, mask) for name, total in sums.items()}

    def _summands(self, predictions: list[Tensor]) -> dict[str, list[Tensor]]:
        """Predictions whose sum is compared with the target, by term of the loss."""
        if self.pairing == "mirror":
            return {f"pair{i}": [predictions[i], predictions[-1 - i]] for i in range(len(predictions) // 2)}
        if self.pairing == "sum":
            return {"sum": predictions}
        return {f"depth{depth}": [prediction] for depth, prediction in zip(self.segments, predictions, strict=True)}

    def to_images(self, images: Float[Tensor, "b c h w"], predictions: list[Tensor]) -> dict[str, Tensor]:
        if not isinstance(self.target, PixelTarget):
            return {}
        first, *_ = self._summands(predictions).values()
        shown = {"shallow": first[0], "shallow_and_residual": _sum(first)}
        return {name: self.target.to_image(prediction, images) for name, prediction in shown.items()}

    def combine(self, terms: Sequence[Float[Tensor, ""]]) -> Float[Tensor, ""]:
        return torch.stack(list(terms)).mean()


def mirl_depths(depth: int, num_segments: int | None = None) -> tuple[int, ...]:
    """Ends of `num_segments` equal segments; by default of 6 segments if 6 divides the depth, else of 4, else of 2.

    Raises:
        ValueError: The depth is odd, or the segments do not divide it.
    """
    if num_segments is not None and (num_segments < 2 or depth % num_segments):
        raise ValueError(
            f"{num_segments} segments do not divide a depth of {depth}; change method.num_segments or encoder.depth."
        )
    for segments in (6, 4, 2) if num_segments is None else (num_segments,):
        if depth % segments == 0:
            return tuple(range(depth // segments, depth + 1, depth // segments))
    raise ValueError(f"MIRL needs an even depth, got {depth}; use encoder.depth={depth + 1} or give method.depths.")


def _sum(summands: Sequence[Tensor]) -> Tensor:
    first, *others = summands
    return sum(others, first)


def fix_weight_norm(linear: nn.Linear) -> nn.Linear:
    """Applies weight normalization with magnitude 1: the weights of every input feature keep unit length.

    The norm is per input, since Paddle's default axis 0 of an [in, out] weight is axis 1 in PyTorch.
    """
    weight_norm(linear, dim=1)
    magnitude = linear.get_parameter("parametrizations.weight.original0")
    magnitude.data.fill_(1)
    magnitude.requires_grad_(False)
    return linear
