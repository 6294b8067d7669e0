"""Training steps of several methods, measured in turns."""

import statistics
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

from mimbench.benchmarking.counting import Counts
from mimbench.benchmarking.matrices import product
from mimbench.benchmarking.memory import held_bytes
from mimbench.benchmarking.step import PARTS, MethodStep, Setting
from mimbench.benchmarking.turns import median_ratio, take_turns

_MATRICES = "square matrices"
Seconds = Callable[[], dict[str, float]]


def compare(
    steps: Mapping[str, MethodStep],
    counts: Mapping[str, Counts],
    setting: Setting,
    rounds: int,
    peers: Mapping[str, Seconds],
) -> dict[str, Any]:
    """One row per step, and what a row is compared with.

    Args:
        counts: By the steps' names.
        peers: Other implementations of the first step.
    """
    matrices, matrix_flops = product(setting.device, setting.dtype)
    targets = {f"targets of {name}": step.targets for name, step in steps.items()}
    times = take_turns({_MATRICES: matrices, **steps, **peers, **targets}, rounds)
    totals = {name: [sum(parts.values()) for parts in found] for name, found in times.items()}
    peak = matrix_flops / statistics.median(totals[_MATRICES])
    first = next(iter(steps))
    rows = []
    for name, step in steps.items():
        useful = setting.batch * (counts[name].flops - counts[name].target_flops)
        base = setting.batch * (counts[first].flops - counts[first].target_flops)
        seconds = statistics.median(totals[name])
        memory, how = held_bytes(step)
        row = {
            "name": name,
            "seconds": totals[name],
            "images_per_second": setting.batch / seconds,
            "flops_per_image": counts[name].flops,
            "flops_per_second": useful / seconds,
            "mfu": useful / seconds / peak,
            "flops_per_second_of_first": useful / base * median_ratio(totals[first], totals[name]),
            "parts": {part: statistics.median(found[part] for found in times[name]) for part in PARTS},
            "targets": statistics.median(totals[f"targets of {name}"]),
            "targets_share": median_ratio(totals[f"targets of {name}"], totals[name]),
            "memory": memory,
            "memory_kind": how,
            "synchronisations": synchronisations(step),
        }
        rows.append(row)
    compared = [
        {
            "name": name,
            "seconds": totals[name],
            "images_per_second": setting.batch / statistics.median(totals[name]),
            "times_as_fast": median_ratio(totals[name], totals[first]),
        }
        for name in peers
    ]
    about = {"batch": setting.batch, "precision": setting.precision, "matrix_flops_per_second": peak}
    return about | {"rows": rows, "peers": compared}


def synchronisations(step: MethodStep) -> int | None:
    """How often a step makes the host wait for the GPU; None on a CPU."""
    if step.setting.device.type != "cuda":
        return None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in caught)
