"""Parameters and operations of a method."""

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from mimbench.core import generator
from mimbench.methods import Method


@dataclass(frozen=True)
class Cost:
    """What one image costs.

    Attributes:
        encoder_parameters: Of the trunk.
        decoder_parameters: Of everything else that is trained.
        encoder_flops: Forward operations on the visible part of an image; a multiply-add counts as 2.
        decoder_flops: Forward operations of the decoders and heads.
        target_flops: Forward operations of the targets, which need no backward pass.
    """

    encoder_parameters: int
    decoder_parameters: int
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
    """Counts matrix products, convolutions and attention by running one image through; works on the meta device."""
    device = next(method.parameters()).device
    images = torch.zeros(1, 3, image_size, image_size, device=device)
    mask = method.masker(1, method.encoder.mask_grid, device, generator(0, device=device))
    with FlopCounterMode(display=False) as encoder:
        features = method.encoder(images, method.depths, mask)
    with FlopCounterMode(display=False) as decoder:
        predictions = method.predict(features)
    with FlopCounterMode(display=False) as target:
        method.losses(images, predictions, mask)
    trunk = sum(p.numel() for p in method.encoder.parameters())
    trained = {id(p) for p in method.encoder.parameters()}
    others = sum(p.numel() for p in method.parameters() if p.requires_grad and id(p) not in trained)
    return Cost(trunk, others, encoder.get_total_flops(), decoder.get_total_flops(), target.get_total_flops())
