"""Masks, tokens, positions and initialisation: what all other packages speak in."""

from mimbench.core.initialization import initialize
from mimbench.core.mask import Grid, Mask
from mimbench.core.positions import sincos_2d
from mimbench.core.randomness import generator, mix
from mimbench.core.tokens import Tap, Tokens

__all__ = ["Grid", "Mask", "Tap", "Tokens", "generator", "initialize", "mix", "sincos_2d"]
