"""Parameters, tokens and FLOPs of a method."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, cast

import torch
from jaxtyping import Bool, Float, Int
from timm.models.vision_transformer import Block
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mimbench.core import Grid, Mask, Regions, Tokens
from mimbench.decoders import CrossBlock, QueryDecoder, RegionPredictor, SelfBlock, TokenDecoder
from mimbench.encoders import Encoder
from mimbench.methods import Method
from mimbench.targets import Target

_BLOCKS = (Block, SelfBlock, CrossBlock)  # what they compute follows from their modules and their number of heads


@dataclass(frozen=True)
class Cost:
    """Size of a method, and its cost per image.

    Attributes:
        encoder_parameters: Parameters of the trunk.
        decoder_parameters: All other trained parameters.
        target_parameters: Parameters of the targets, such as a teacher.
        encoder_tokens: Tokens that enter the encoder: the visible patches, with class and register tokens.
        decoder_tokens: Tokens in all decoders together; of a decoder with cross-attention alone, its queries;
            of a predictor of regions, all sequences.
        encoder_flops: Forward operations on the visible part of an image; a multiply-add counts as 2.
        decoder_flops: Forward operations of the decoders and heads.
        target_flops: Forward operations of the targets, which have no backward pass.
    """

    encoder_parameters: int
    decoder_parameters: int
    target_parameters: int
    encoder_tokens: int
    decoder_tokens: int
    encoder_flops: int
    decoder_flops: int
    target_flops: int

    @property
    def forward_flops(self) -> int:
        """Operations of the forward pass of one image."""
        return self.encoder_flops + self.decoder_flops + self.target_flops

    @property
    def training_flops(self) -> int:
        """Operations of forward and backward pass of one image; the backward pass counts as two forward passes."""
        return 3 * (self.encoder_flops + self.decoder_flops) + self.target_flops


@torch.no_grad()
def measure_cost(method: Method, image_size: int) -> Cost:
    """Counts matrix products, convolutions and attention in a forward pass of one image.

    The result is the same on every device, including the meta device: the mask is always drawn on the CPU, and
    attention is counted as two matrix products.
    """
    device = next(method.parameters()).device
    images = torch.zeros(1, 3, image_size, image_size, device=device)
    mask = reference_mask(method, 1, device)
    with count_flops() as counter, _equal_blocks_once(method, counter) as skipped:
        features = method.encode(images, mask, {0, *method.depths})
        encoded = counter.get_total_flops() + sum(skipped)
        predictions = method.predict(features, mask)
        predicted = counter.get_total_flops() + sum(skipped)
        method.losses(images, predictions, mask)
        whole = counter.get_total_flops() + sum(skipped)
    trunk, decoders, targets = _parameters(method)
    return Cost(
        encoder_parameters=trunk,
        decoder_parameters=decoders,
        target_parameters=targets,
        encoder_tokens=features[0].sequence.shape[0] * features[0].sequence.shape[1],
        decoder_tokens=_decoder_tokens(method, features, predictions),
        encoder_flops=encoded,
        decoder_flops=predicted - encoded,
        target_flops=whole - predicted,
    )


@contextmanager
def count_flops() -> Iterator[FlopCounterMode]:
    """Counts operations; attention as matrix products, since some PyTorch versions do not count fused kernels."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        yield counter


@contextmanager
def _equal_blocks_once(method: Method, counter: FlopCounterMode) -> Iterator[list[int]]:
    """Runs equal transformer blocks once per shape of their inputs; the others return the output of the first one.

    Counting operations takes most of the time of a plan, and all blocks of a ViT cost the same.

    Yields:
        The operations of every block that was skipped; the list grows during the forward pass.
    """
    skipped: list[int] = []
    first: dict[Any, tuple[int, Tensor]] = {}

    def once(kind: str, forward: Callable[..., Tensor], *inputs: Tensor, **options: Any) -> Tensor:
        key = (kind, *((x.shape, x.dtype) for x in inputs), *options.items())
        if key in first:
            cost, output = first[key]
            skipped.append(cost)
            return output
        before = counter.get_total_flops()
        output = forward(*inputs, **options)
        first[key] = counter.get_total_flops() - before, output
        return output

    blocks = [module for module in method.modules() if type(module) in _BLOCKS and "forward" not in vars(module)]
    for block in blocks:
        kind = f"{cast(Any, block).attn.num_heads} heads, {block}"  # modules do not print their number of heads
        block.forward = partial(once, kind, block.forward)
    try:
        yield skipped
    finally:
        for block in blocks:
            del block.forward


def reference_mask(method: Method, batch: int, device: torch.device | str) -> Any:
    """A fixed mask or fixed regions, drawn on the CPU, for tensors on any device, including the meta device."""
    drawn = method.draw_any(batch, "cpu", seed=0)
    if isinstance(drawn, Regions):
        return Regions(drawn.contexts.to(device), drawn.targets.to(device), drawn.grid)
    return _DeviceMask(drawn.hidden, drawn.num_visible, drawn.shared, drawn.ignored, drawn.num_ignored, device)


def stored_bytes(encoder: Encoder, method: Method | None, average: bool = False) -> int:
    """Bytes on disk of a run's exported encoder and its checkpoint, which holds weights and AdamW's two moments.

    Args:
        method: None for an untrained encoder, which has no checkpoint.
        average: Whether the checkpoint also contains an exponential moving average of the weights.
    """
    exported = sum(p.nbytes for p in encoder.trunk.parameters())
    if method is None:
        return exported
    weights = sum(p.nbytes for p in method.parameters())
    moments = 2 * sum(p.nbytes for p in method.parameters() if p.requires_grad)
    return exported + weights * (2 if average else 1) + moments


def _decoder_tokens(method: Method, features: Mapping[int, Tokens], predictions: Sequence[Tensor]) -> int:
    if any(isinstance(m, RegionPredictor) for m in method.modules()):
        context = int(features[0].sequence.shape[1])
        return sum(len(p) * (context + p.shape[1]) for p in predictions)
    full = sum(m.positions.shape[1] for m in method.modules() if isinstance(m, TokenDecoder))
    queries = any(isinstance(m, QueryDecoder) for m in method.modules())
    return full + (sum(p.shape[1] for p in predictions) if queries else 0)


def _parameters(method: Method) -> tuple[int, int, int]:
    """Parameters of the trunk, all other trained ones, and those of the targets; shared ones count once."""
    trunk = {id(p): p.numel() for p in method.encoder.parameters()}
    targets = {id(p): p.numel() for m in method.modules() if isinstance(m, Target) for p in m.parameters()}
    trained = {id(p): p.numel() for p in method.parameters() if p.requires_grad}
    decoders = {key: size for key, size in trained.items() if key not in trunk.keys() | targets.keys()}
    return sum(trunk.values()), sum(decoders.values()), sum(targets.values())


@dataclass(frozen=True)
class _DeviceMask(Mask):
    """A mask with `hidden` on the CPU whose other tensors are on `device`, which may be the meta device."""

    device: torch.device | str = "cpu"

    @cached_property
    def _order(self) -> Int[Tensor, "b n"]:
        return super()._order.to(self.device)

    def weights(self, grid: Grid) -> Float[Tensor, "b n"]:
        return super().weights(grid).to(self.device)

    def hides(self, grid: Grid) -> Bool[Tensor, "b n"]:
        return super().hides(grid).to(self.device)
