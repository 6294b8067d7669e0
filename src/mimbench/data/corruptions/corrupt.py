"""One corrupted image."""

import zlib
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from mimbench.data.corruptions.frost import frost
from mimbench.data.corruptions.severities import CORRUPTIONS, parameters


def corrupt(
    image: UInt8[np.ndarray, "h w 3"], name: str, severity: int, seed: int, index: int, frosts: Path | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """An image under a corruption, a pure function of its arguments.

    Args:
        severity: 1 to 5.
        index: Place of the image in its dataset; with the seed it decides what is random.
        frosts: Folder of photographs of frost, which "frost" needs.

    Raises:
        ValueError: There is no such corruption or severity.
    """
    functions = CORRUPTIONS if frosts is None else {**CORRUPTIONS, "frost": partial(frost, folder=frosts)}
    if name not in functions:
        raise ValueError(f"There is no corruption {name!r}; choose from {', '.join(functions)}.")
    if severity not in range(1, 6):
        raise ValueError(f"Severity is {severity!r}; it goes from 1 to 5.")
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), severity, index])
    corrupted = functions[name](image / 255.0, rng, *parameters(name, severity, min(image.shape[:2])))
    return (255 * corrupted.clip(0, 1)).astype(np.uint8)  # rounded down, as in the released files
