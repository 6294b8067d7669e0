"""Speedup and cost of compiled blocks."""

import time
from typing import Any

import torch

from mimbench.benchmarking.interleave import measure_interleaved, median_ratio
from mimbench.benchmarking.step import MethodStep
from mimbench.training.compilation import compile_blocks


def compare_compiled(eager: MethodStep, compiled: MethodStep, rounds: int) -> dict[str, Any]:
    """Compares a step with the same step with compiled blocks, from the same weights.

    The first step compiles; its time is reported separately.
    """
    compiled.method.load_state_dict(eager.method.state_dict())
    blocks = compile_blocks(compiled.method)
    torch.compiler.reset()
    begin = time.perf_counter()  # wall time, because compilers run in other processes
    compiled()
    first = time.perf_counter() - begin
    times = measure_interleaved({"eager": eager, "compiled": compiled}, rounds)
    totals = {name: [sum(parts.values()) for parts in found] for name, found in times.items()}
    return {
        "blocks": blocks,
        "first_step_seconds": first,
        "speedup": median_ratio(totals["eager"], totals["compiled"]),
    }
