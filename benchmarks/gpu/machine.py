"""The machine on which a stage runs."""

from collections.abc import Mapping
from typing import Any

from benchmarks.gpu.checks import Setting

# Dense bf16 operations per second from NVIDIA's data sheets (SXM): H100 and H200 989.4e12, A100 312e12.
PEAKS = {"H100": 989.4e12, "H200": 989.4e12, "A100": 312e12}
_KEYS = ("device", "torch", "timm", "python", "mimbench")


def describe(setting: Setting) -> dict[str, Any]:
    """As `mimbench.benchmarking.describe_machine`.

    Raises:
        RuntimeError: There is no GPU.
    """
    import torch

    from mimbench.benchmarking import describe_machine

    if setting.device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("PyTorch sees no GPU here.")
    return describe_machine(torch.device(setting.device))


def about(machine: Mapping[str, Any]) -> dict[str, Any]:
    """What must be equal for results to be shown together."""
    return {key: machine[key] for key in _KEYS}


def peak(device: str) -> float | None:
    """Dense bf16 operations per second of a GPU according to its data sheet; None if it is not listed."""
    return next((rate for name, rate in PEAKS.items() if name in device), None)
