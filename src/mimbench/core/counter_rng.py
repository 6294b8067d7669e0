"""Counter-based random numbers (SplitMix64) in NumPy: pure functions of (seed, purpose, epoch, sample index)."""

import zlib

import numpy as np
from jaxtyping import Float64, Int64, UInt64

# SplitMix64 (Steele, Lea and Flood 2014): the increment, and the two multipliers of the output function.
GAMMA, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def scramble(x: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    """SplitMix64's output function: every input bit affects every output bit."""
    x = x + np.uint64(GAMMA)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(FIRST)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(SECOND)
    return x ^ (x >> np.uint64(31))


def hashes(index: Int64[np.ndarray, " n"], *key: int | str) -> UInt64[np.ndarray, " n"]:
    """One 64-bit hash per index; it depends only on the key and on that index."""
    state = np.zeros(1, np.uint64)
    for part in key:
        number = zlib.crc32(part.encode()) if isinstance(part, str) else part % 2**64
        state = scramble(state ^ np.array([number], np.uint64))
    return scramble(state ^ index.astype(np.uint64))


def uniforms(num: int, index: Int64[np.ndarray, " n"], *key: int | str) -> Float64[np.ndarray, "n num"]:
    """`num` uniform draws from [0, 1) per index."""
    counter = np.arange(num, dtype=np.uint64) * np.uint64(GAMMA)
    return (scramble(hashes(index, *key)[:, None] + counter) >> np.uint64(11)) * 2.0**-53


def permutation(length: int, *key: int | str) -> Int64[np.ndarray, " length"]:
    """A random permutation of range(length), identical in every version of NumPy."""
    return np.argsort(hashes(np.arange(length, dtype=np.int64), *key), kind="stable").astype(np.int64)


def mix(*values: int) -> int:
    """Hashes integers (seed, epoch, step, rank ...) to a 63-bit seed."""
    bits = (1 << 64) - 1
    state = 0
    for value in values:
        state = (state + (value & bits) + GAMMA) & bits
        state = ((state ^ (state >> 30)) * FIRST) & bits
        state = ((state ^ (state >> 27)) * SECOND) & bits
        state ^= state >> 31
    return state >> 1
