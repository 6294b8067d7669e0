"""Products of square matrices: the rate to which utilization refers."""

from collections.abc import Callable

import torch

from mimbench.benchmarking.stopwatch import Stopwatch


def matrix_product(device: torch.device, dtype: torch.dtype) -> tuple[Callable[[], dict[str, float]], int]:
    """A function that computes products of square matrices and returns its seconds, and its number of operations.

    2048 rows on a CPU and 8192 on a GPU; larger matrices have no higher rate.
    """
    rows, repeats = (8192, 10) if device.type == "cuda" else (2048, 2)
    a = torch.randn(rows, rows, generator=torch.Generator().manual_seed(0)).to(device, dtype)
    out = torch.empty_like(a)

    def run() -> dict[str, float]:
        watch = Stopwatch(device)
        for _ in range(repeats):
            torch.mm(a, a, out=out)
        watch.mark("product")
        return watch.seconds()

    return run, 2 * rows**3 * repeats
