"""Random numbers as pure functions of what they are drawn for."""

import torch
from jaxtyping import Int64
from torch import Tensor

_BITS = (1 << 64) - 1
# SplitMix64's constants as signed numbers, since PyTorch's 64-bit integers are; its products wrap around.
_GAMMA, _FIRST, _SECOND = (n - (1 << 64) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def mix(*values: int) -> int:
    """Hashes integers (seed, epoch, step, rank ...) to one seed of 63 bits, by SplitMix64's finaliser."""
    state = 0
    for value in values:
        state = (state + (value & _BITS) + 0x9E3779B97F4A7C15) & _BITS
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _BITS
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _BITS
        state ^= state >> 31
    return state >> 1


def generator(*values: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` whose draws depend on `values` and nothing else."""
    # Meta tensors draw nothing; a generator for them lives on the CPU.
    place = "cpu" if torch.device(device).type == "meta" else device
    return torch.Generator(place).manual_seed(mix(*values))


def keys(index: Int64[Tensor, " b"], *values: int) -> Int64[Tensor, " b"]:
    """One key per index, on its device; it depends on `values` and that index alone, not on the other indices."""
    return _scramble(_scramble(index) ^ mix(*values))


def integers(keys: Int64[Tensor, " b"], num: int) -> Int64[Tensor, "b num"]:
    """`num` draws from [0, 2^63) per key, on their device: the sequence of SplitMix64 that starts at the key."""
    counter = torch.arange(num, device=keys.device) * _GAMMA
    return _shifted(_scramble(keys[:, None] + counter), 1)


def _scramble(x: Int64[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
    """SplitMix64's output function (Steele, Lea and Flood 2014): every input bit reaches every output bit."""
    x = x + _GAMMA
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _shifted(x: Int64[Tensor, "*shape"], bits: int) -> Int64[Tensor, "*shape"]:
    """To the right, with zeros coming in."""
    return (x >> bits) & (_BITS >> bits)
