"""Counter-based random numbers (SplitMix64) in PyTorch, on any device."""

import torch
from jaxtyping import Int64
from torch import Tensor

from mimbench.core.counter_rng import FIRST, GAMMA, SECOND, mix

_BITS = (1 << 64) - 1
# SplitMix64's constants as signed integers, since PyTorch's 64-bit integers are signed; products wrap around.
_GAMMA, _FIRST, _SECOND = (number - (1 << 64) for number in (GAMMA, FIRST, SECOND))


def generator(*values: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device`, seeded with `values` alone."""
    # The meta device has no generators.
    real = "cpu" if torch.device(device).type == "meta" else device
    return torch.Generator(real).manual_seed(mix(*values))


def keys(index: Int64[Tensor, " b"], *values: int) -> Int64[Tensor, " b"]:
    """One key per index, on its device; it depends only on `values` and on that index."""
    return _scramble(_scramble(index) ^ mix(*values))


def integers(keys: Int64[Tensor, " b"], num: int) -> Int64[Tensor, "b num"]:
    """`num` integers from [0, 2^63) per key, on the keys' device: the SplitMix64 sequence that starts at the key."""
    counter = torch.arange(num, device=keys.device) * _GAMMA
    return _shift_right(_scramble(keys[:, None] + counter), 1)


def _scramble(x: Int64[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
    """SplitMix64's output function (Steele, Lea and Flood 2014): every input bit affects every output bit."""
    x = x + _GAMMA
    x = (x ^ _shift_right(x, 30)) * _FIRST
    x = (x ^ _shift_right(x, 27)) * _SECOND
    return x ^ _shift_right(x, 31)


def _shift_right(x: Int64[Tensor, "*shape"], bits: int) -> Int64[Tensor, "*shape"]:
    """Logical right shift: the upper bits become zero."""
    return (x >> bits) & (_BITS >> bits)
