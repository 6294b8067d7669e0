"""Parameters, tokens and operations of a method."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mimbench.core import Grid, Mask, generator
from mimbench.decoders import TokenDecoder
from mimbench.encoders import Encoder
from mimbench.methods import Method
from mimbench.targets import Target


@dataclass(frozen=True)
class Cost:
    """What one image costs.

    Attributes:
        encoder_parameters: Of the trunk.
        decoder_parameters: Of everything else that is trained.
        target_parameters: Of what the targets come from, such as a teacher.
        encoder_tokens: Tokens that enter the encoder: the visible ones, with class and register tokens.
        decoder_tokens: Tokens in all decoders together.
        encoder_flops: Forward operations on the visible part of an image; a multiply-add counts as 2.
        decoder_flops: Forward operations of the decoders and heads.
        target_flops: Forward operations of the targets, which need no backward pass.
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
        """One image once forward."""
        return self.encoder_flops + self.decoder_flops + self.target_flops

    @property
    def training_flops(self) -> int:
        """One image once forward and backward; the backward pass counts twice the forward pass."""
        return 3 * (self.encoder_flops + self.decoder_flops) + self.target_flops


@torch.no_grad()
def measure_cost(method: Method, image_size: int) -> Cost:
    """Counts matrix products, convolutions and attention by running one image through.

    The same on every device, the meta device too: the mask is always the one that a CPU would draw, and attention is
    counted as the two matrix products that it is.
    """
    device = next(method.parameters()).device
    images = torch.zeros(1, 3, image_size, image_size, device=device)
    mask = planned_mask(method, 1, device)
    with counted() as encoder:
        features = method.encode(images, mask, {0, *method.depths})
    with counted() as decoder:
        predictions = method.predict(features, mask)
    with counted() as target:
        method.losses(images, predictions, mask)
    trunk, trained, taught = _parameters(method)
    return Cost(
        encoder_parameters=trunk,
        decoder_parameters=trained,
        target_parameters=taught,
        encoder_tokens=features[0].sequence.shape[1],
        decoder_tokens=sum(m.positions.shape[1] for m in method.modules() if isinstance(m, TokenDecoder)),
        encoder_flops=encoder.get_total_flops(),
        decoder_flops=decoder.get_total_flops(),
        target_flops=target.get_total_flops(),
    )


@contextmanager
def counted() -> Iterator[FlopCounterMode]:
    """Counts operations; attention as matrix products, since not every PyTorch knows what its fused kernels do."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        yield counter


def planned_mask(method: Method, batch: int, device: torch.device | str) -> Mask:
    """The mask that a CPU would draw, for tensors on any device, the meta device too."""
    drawn = method.masker(batch, method.encoder.mask_grid, "cpu", generator(0))
    return _MaskFor(drawn.hidden, drawn.num_visible, drawn.shared, device)


def stored_bytes(encoder: Encoder, method: Method | None, average: bool = False) -> int:
    """Disk that a run's exported encoder and its checkpoint take: weights and AdamW's two moments.

    Args:
        method: None for an encoder that is never trained, which has no checkpoint.
        average: Whether the run also keeps an exponential moving average of the weights.
    """
    exported = sum(p.nbytes for p in encoder.trunk.parameters())
    if method is None:
        return exported
    weights = sum(p.nbytes for p in method.parameters())
    moments = 2 * sum(p.nbytes for p in method.parameters() if p.requires_grad)
    return exported + weights * (2 if average else 1) + moments


def _parameters(method: Method) -> tuple[int, int, int]:
    """Of the trunk, of everything else that is trained, and of the targets; shared ones once."""
    trunk = {id(p): p.numel() for p in method.encoder.parameters()}
    targets = (p for m in method.modules() if isinstance(m, Target) for p in m.parameters())
    taught = {id(p): p.numel() for p in targets}
    own = {id(p): p.numel() for p in method.parameters() if p.requires_grad}
    trained = {key: size for key, size in own.items() if key not in trunk.keys() | taught.keys()}
    return sum(trunk.values()), sum(trained.values()), sum(taught.values())


@dataclass(frozen=True)
class _MaskFor(Mask):
    """A mask whose values are known on the CPU and whose tensors are on a device, which may have no values."""

    device: torch.device | str = "cpu"

    @cached_property
    def _order(self) -> Int[Tensor, "b n"]:
        return super()._order.to(self.device)

    def weights(self, grid: Grid) -> Float[Tensor, "b n"]:
        return super().weights(grid).to(self.device)
