"""Masks, tokens, positions and initialisation: what all other packages speak in."""

from mimbench.core.initialization import initialize
from mimbench.core.mask import Grid, Mask
from mimbench.core.positions import sincos_2d
from mimbench.core.randomness import generator, integers, keys, mix
from mimbench.core.tokens import Tap, Tokens, take

__all__ = ["Grid", "Mask", "Tap", "Tokens", "generator", "initialize", "integers", "keys", "mix", "sincos_2d", "take"]
