"""Decoders that predict targets from the tokens of an encoder."""

from mimbench.decoders.blocks import CrossBlock, LayerNorm, QueryBlock, SelfBlock
from mimbench.decoders.heads import ScaleHead
from mimbench.decoders.linear import LinearDecoder
from mimbench.decoders.mixtures import ContextMixture, Fusion
from mimbench.decoders.predictor import RegionPredictor
from mimbench.decoders.query import QueryDecoder
from mimbench.decoders.token import TokenDecoder

__all__ = [
    "ContextMixture",
    "CrossBlock",
    "Fusion",
    "LayerNorm",
    "LinearDecoder",
    "QueryBlock",
    "QueryDecoder",
    "RegionPredictor",
    "ScaleHead",
    "SelfBlock",
    "TokenDecoder",
]
