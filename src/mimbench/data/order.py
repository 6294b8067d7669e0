"""Orders of the images of an epoch, as functions of (seed, epoch)."""

import numpy as np
from jaxtyping import Int64

from mimbench.core.counter_rng import permutation, uniforms

Order = Int64[np.ndarray, " n"]


def shuffled(length: int, seed: int, epoch: int) -> Order:
    """All images in random order."""
    return permutation(length, seed, "order", epoch)


def buffered(where: Int64[np.ndarray, "n 2"], buffer: int, seed: int, epoch: int) -> Order:
    """Shards in random order, each read from start to end, with images mixed as by a shuffle buffer.

    Mixing moves an image by at most `buffer` positions. Unlike with a real buffer, any part of the order can be
    computed without the part before it.

    Args:
        where: Shard and offset of each image.
        buffer: Number of images that are mixed with each other.
    """
    shard, offset = where.T
    turn = np.argsort(permutation(int(shard.max()) + 1, seed, "shards", epoch))
    sequence = np.lexsort((offset, turn[shard]))
    delay = buffer * uniforms(1, sequence, seed, "order", epoch)[:, 0]
    return sequence[np.argsort(np.arange(len(sequence)) + delay, kind="stable")]
