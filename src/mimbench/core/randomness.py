"""Random numbers as pure functions of what they are drawn for."""

import torch

_BITS = (1 << 64) - 1


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
