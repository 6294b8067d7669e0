"""Decoders that predict targets from the tokens of an encoder."""

from mimbench.decoders.blocks import CrossBlock, LayerNorm
from mimbench.decoders.heads import ScaleHead
from mimbench.decoders.linear import LinearDecoder
from mimbench.decoders.token import TokenDecoder

__all__ = ["CrossBlock", "LayerNorm", "LinearDecoder", "ScaleHead", "TokenDecoder"]
