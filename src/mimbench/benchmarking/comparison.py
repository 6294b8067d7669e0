"""Comparison of the training steps of several methods."""

import statistics
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

from mimbench.benchmarking.counting import Counts
from mimbench.benchmarking.interleave import measure_interleaved, median_ratio
from mimbench.benchmarking.matmul import matrix_product
from mimbench.benchmarking.memory import memory_bytes
from mimbench.benchmarking.step import PARTS, MethodStep, Setting

_MATRICES = "square matrices"
Seconds = Callable[[], dict[str, float]]


def compare(
    steps: Mapping[str, MethodStep],
    counts: Mapping[str, Counts],
    setting: Setting,
    rounds: int,
    baselines: Mapping[str, Seconds],
) -> dict[str, Any]:
    """Measures steps and baselines in turns.

    Args:
        steps: By name; the rates of all are compared with the first one.
        counts: By the names of the steps.
        baselines: Other implementations of the first step, by name.

    Returns:
        One row per step and per baseline, and the rate of square matrix products.
    """
    matrices, matrix_flops = matrix_product(setting.device, setting.dtype)
    targets = {f"targets of {name}": step.targets for name, step in steps.items()}
    times = measure_interleaved({_MATRICES: matrices, **steps, **baselines, **targets}, rounds)
    totals = {name: [sum(parts.values()) for parts in found] for name, found in times.items()}
    peak = matrix_flops / statistics.median(totals[_MATRICES])
    first = next(iter(steps))
    rows = []
    for name, step in steps.items():
        useful = setting.batch * (counts[name].flops - counts[name].target_flops)
        base = setting.batch * (counts[first].flops - counts[first].target_flops)
        seconds = statistics.median(totals[name])
        memory, kind = memory_bytes(step)
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
            "memory_kind": kind,
            "synchronizations": synchronizations(step),
        }
        rows.append(row)
    compared = [
        {
            "name": name,
            "seconds": totals[name],
            "images_per_second": setting.batch / statistics.median(totals[name]),
            "speedup": median_ratio(totals[name], totals[first]),
        }
        for name in baselines
    ]
    about = {"batch": setting.batch, "precision": setting.precision, "matrix_flops_per_second": peak}
    return about | {"rows": rows, "baselines": compared}


def synchronizations(step: MethodStep) -> int | None:
    """How often the host waits for the GPU in a step; None on a CPU."""
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
