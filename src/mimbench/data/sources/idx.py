"""The IDX format of MNIST's files (LeCun, Cortes and Burges 1998), compressed or not."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

_UNSIGNED_BYTES = 0x08


def read_idx(path: Path, shape: tuple[int, ...]) -> UInt8[np.ndarray, "*shape"]:
    """The content of a file whose header has this `shape`; not more than that is decompressed.

    Raises:
        ValueError: It is not an IDX file of unsigned bytes with this shape; the message names it.
    """
    wanted = struct.pack(f">BBBB{len(shape)}I", 0, 0, _UNSIGNED_BYTES, len(shape), *shape)
    size = int(np.prod(shape))
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header, content, rest = file.read(len(wanted)), file.read(size), file.read(1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {error}. Delete it and download it again.") from error
    if header != wanted or len(content) != size or rest:
        raise ValueError(
            f"{path} is no IDX file of {' x '.join(map(str, shape))} bytes. Delete it and download it again."
        )
    return np.frombuffer(content, np.uint8).reshape(shape)
