"""Random draws that are pure functions of what they are for: (seed, purpose, epoch, sample index)."""

import zlib

import numpy as np
from jaxtyping import Float64, Int64, UInt64

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def scramble(x: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    """SplitMix64's output function (Steele, Lea and Flood 2014): every input bit reaches every output bit."""
    x = x + GAMMA
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def hashes(index: Int64[np.ndarray, " n"], *key: int | str) -> UInt64[np.ndarray, " n"]:
    """One 64-bit number per index; it depends on the key and that index alone, not on the other indices."""
    state = np.zeros(1, np.uint64)
    for part in key:
        number = zlib.crc32(part.encode()) if isinstance(part, str) else part % 2**64
        state = scramble(state ^ np.array([number], np.uint64))
    return scramble(state ^ index.astype(np.uint64))


def uniforms(num: int, index: Int64[np.ndarray, " n"], *key: int | str) -> Float64[np.ndarray, "n num"]:
    """`num` draws from [0, 1) per index."""
    counter = np.arange(num, dtype=np.uint64) * GAMMA
    return (scramble(hashes(index, *key)[:, None] + counter) >> np.uint64(11)) * 2.0**-53


def permutation(length: int, *key: int | str) -> Int64[np.ndarray, " length"]:
    """A random order of range(length), the same with every version of NumPy."""
    return np.argsort(hashes(np.arange(length, dtype=np.int64), *key), kind="stable").astype(np.int64)
