"""Memory of a process that trains on a CPU."""

import ctypes

# malloc.h of glibc
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Has glibc keep what a step frees for the next one; False where the C library is another.

    By default large tensors go back to the system and come again as zeroed pages, one fault each. Without that a step
    of a small model takes up to a tenth less; the peak is the same.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1)) and bool(mallopt(_MMAP_MAX, 0))
