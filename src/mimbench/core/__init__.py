"""Masks, tokens, positions, initialization, normalization, random numbers, files and errors, for all other packages.

Names are imported on first use, since reports and `mimbench status` need no PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mimbench.core.counter_rng import mix
    from mimbench.core.initialization import initialize
    from mimbench.core.mask import Grid, Mask
    from mimbench.core.normalization import IMAGENET_MEAN, IMAGENET_STD, denormalize
    from mimbench.core.positions import sincos_2d
    from mimbench.core.randomness import generator, integers, keys
    from mimbench.core.regions import Regions
    from mimbench.core.tokens import Tap, Tokens, take

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Grid",
    "Mask",
    "Regions",
    "Tap",
    "Tokens",
    "denormalize",
    "generator",
    "initialize",
    "integers",
    "keys",
    "mix",
    "sincos_2d",
    "take",
]

_MODULES = {
    "IMAGENET_MEAN": "normalization",
    "IMAGENET_STD": "normalization",
    "Grid": "mask",
    "Mask": "mask",
    "Regions": "regions",
    "Tap": "tokens",
    "Tokens": "tokens",
    "denormalize": "normalization",
    "generator": "randomness",
    "initialize": "initialization",
    "integers": "randomness",
    "keys": "randomness",
    "mix": "counter_rng",
    "sincos_2d": "positions",
    "take": "tokens",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"mimbench.core.{_MODULES[name]}"), name)
