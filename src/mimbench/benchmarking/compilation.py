"""What compiling brings, and what it costs first."""

import time
from typing import Any

import torch

from mimbench.benchmarking.step import MethodStep
from mimbench.benchmarking.turns import median_ratio, take_turns
from mimbench.training.compilation import compile_blocks


def compare_compiled(eager: MethodStep, compiled: MethodStep, rounds: int) -> dict[str, Any]:
    """A step as it is and with its blocks compiled, from the same weights; compiling happens in the first step."""
    compiled.method.load_state_dict(eager.method.state_dict())
    blocks = compile_blocks(compiled.method)
    torch.compiler.reset()
    begin = time.perf_counter()  # compilers run in other processes
    compiled()
    first = time.perf_counter() - begin
    times = take_turns({"eager": eager, "compiled": compiled}, rounds)
    totals = {name: [sum(parts.values()) for parts in found] for name, found in times.items()}
    return {
        "blocks": blocks,
        "first_step_seconds": first,
        "times_as_fast": median_ratio(totals["eager"], totals["compiled"]),
    }
