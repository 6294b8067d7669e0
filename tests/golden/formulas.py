"""Closed formulas of the weights, images, noise and teacher features in the golden files, in NumPy."""

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray
SOBEL = np.array([[[[1, 0, -1], [2, 0, -2], [1, 0, -1]]], [[[1, 2, 1], [0, 0, 0], [-1, -2, -1]]]], dtype=np.float32)


def uniform(count: int, key: str) -> Array:
    """`count` values in [-1, 1), hashes of their index and the name `key`."""
    x = (np.arange(count, dtype=np.uint64) * 2654435761 + zlib.crc32(key.encode())) & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    x ^= x >> 16
    return (x >> 8).astype(np.float64) / 2**23 - 1


def is_fixed(name: str) -> bool:
    """Whether the released code computes the entry: position tables, window indices and masks, Sobel kernels."""
    last = name.rsplit(".", 1)[-1]
    sobel = name.startswith("hog_enc.") and name.endswith(".conv.weight")
    tables = ("pos_embed", "decoder_pos_embed", "predictor_pos_embed")
    return last.startswith(tables) or last in ("relative_position_index", "attn_mask") or sobel


def weight(name: str, shape: Sequence[int], linear_in_out: bool) -> Array:
    """Value of an entry of a released state dict."""
    u = uniform(int(np.prod(shape)), name).reshape(shape)
    last = name.rsplit(".", 1)[-1]
    if name.startswith("hog_enc.") and last == "bias":
        return (np.rint(64 * u) / 256 + 0.0).astype(np.float32)  # no negative zeros
    if last in ("gamma_1", "gamma_2"):
        return (0.5 + 0.25 * u).astype(np.float32)
    if last in ("relative_position_bias_table", "pos_embed") or (len(shape) == 3 and shape[0] == shape[1] == 1):
        return (0.5 * u).astype(np.float32)
    if len(shape) == 1:
        scale, base = {"weight": (0.1, 1), "weight_g": (0.25, 1)}.get(last, (0.1, 0))
        return (base + scale * u).astype(np.float32)
    fan = shape[0] if linear_in_out and len(shape) == 2 else np.prod(shape[1:])
    return (np.sqrt(3 / fan) * u).astype(np.float32)


def image(size: int) -> Array:
    """Two images [2, 3, size, size], normalized, on a grid of 1/256."""
    b, c, y, x = np.indices((2, 3, size, size)).astype(np.float64)
    v = 1.2 * np.sin(0.11 * (c + 1) * x + 0.07 * (b + 2) * y + 0.9 * c + 0.5 * b)
    v += 0.6 * np.cos(0.23 * y - 0.05 * (c + 1) * x + 0.3 * b) + 0.004 * (x - y)
    v += 0.35 * uniform(v.size, "image").reshape(v.shape)
    return (np.rint(256 * v) / 256 + 0.0).astype(np.float32)  # no negative zeros


def noise(patches: int) -> Array:
    """Noise [2, patches] for masking; the patches with the smallest values stay visible."""
    return ((uniform(2 * patches, "mask_noise") + 1) / 2).reshape(2, patches)


def teacher(tokens: int, dim: int) -> Array:
    """A teacher's output [2, tokens, dim], class token first."""
    b, n, d = np.indices((2, tokens, dim))
    value = uniform(b.size, "teacher_out").reshape(b.shape) + 0.25 * ((n + 3 * d + 5 * b) % 5 - 2)
    return value.astype(np.float32)


def sincos(tokens: int, dim: int) -> Array:
    """Position table [1, tokens, dim] of a square grid, with zeros for a class token if `tokens` is not a square."""
    side = int(np.sqrt(tokens))
    row, column = np.divmod(np.arange(side * side), side)
    omega = 1 / 10_000 ** (np.arange(dim // 4) / (dim / 4))
    angles = [np.outer(axis, omega) for axis in (column, row)]
    table = np.concatenate([f(angle) for angle in angles for f in (np.sin, np.cos)], axis=1)
    return np.concatenate([np.zeros((tokens - side * side, dim)), table]).astype(np.float32)[None]


def from_axis(axis: Sequence[Sequence[float]], row_first: bool) -> Array:
    """Position table [1, 1 + tokens, dim] of a square grid from the codes of a coordinate, with a row of zeros."""
    code, side = np.array(axis, dtype=np.float32), len(axis)
    row, column = np.divmod(np.arange(side * side), side)
    halves = (code[row], code[column]) if row_first else (code[column], code[row])
    table = np.concatenate(halves, axis=1)
    return np.concatenate([np.zeros((1, table.shape[1]), np.float32), table])[None]


def sha256(arrays: Iterable[Array]) -> str:
    """SHA-256 of the concatenated little-endian float32 bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
    return digest.hexdigest()


def deviation(recorded: Any, value: Array) -> float:
    """Relative deviation of a value from its record; inf if the shape differs.

    The record of a tensor consists of its norm l2, its sum (compared relative to l2 sqrt(n)), a dot product that
    depends on the order (relative to l2) and the first values (relative to l2). Other records are numbers or lists.
    """
    value = np.asarray(value, dtype=np.float64)
    if not isinstance(recorded, dict):
        wanted = np.asarray(recorded, dtype=np.float64)
        if wanted.shape != value.shape:
            return float("inf")
        return float(np.abs(value - wanted).max(initial=0) / max(np.abs(wanted).max(initial=0), 1e-300))
    if list(value.shape) != recorded.get("shape", list(value.shape)):
        return float("inf")
    flat, l2 = value.ravel(), max(recorded["l2"], 1e-300)
    misses = [(np.linalg.norm(flat) - l2) / l2, (flat.sum() - recorded["sum"]) / (l2 * np.sqrt(flat.size))]
    misses.append((flat @ uniform(flat.size, "checksum") - recorded["dot"]) / l2)
    if "first" in recorded:
        misses.extend((flat[: len(recorded["first"])] - recorded["first"]) / l2)
    return float(np.abs(misses).max())
