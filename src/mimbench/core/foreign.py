"""Files that are often given in place of images or weights."""

from collections.abc import Mapping

_KINDS = {
    b"\x1f\x8b": "it is compressed with gzip; unpack it",
    b"version https://git-lfs": "it is a pointer of Git LFS; fetch the file with git lfs pull",
    b"<": "it is a web page or another text",
}


def foreign(start: bytes, further: Mapping[bytes, str]) -> str | None:
    """What a file is instead, by its first bytes; None if they are unknown.

    Args:
        start: The first 64 bytes; fewer only of a shorter file.
        further: Other first bytes, and what files are that begin with them.
    """
    if not start:
        return "it is empty"
    kinds = {**_KINDS, **further}
    return next((kind for first, kind in kinds.items() if start.lstrip().startswith(first)), None)
