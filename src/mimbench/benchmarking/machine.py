"""Description of the machine and its software."""

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import mimbench
from mimbench.benchmarking.stopwatch import clock


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Date, processor, device, number of threads, kind of clock, load and versions."""
    machine = {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "clock": clock(device),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "mimbench": mimbench.__version__,
    }
    load = {"load": round(os.getloadavg()[0], 2)} if hasattr(os, "getloadavg") else {}
    return machine | load | {name: version(name) for name in ("torch", "lightning", "timm")}


def _processor() -> str:
    try:
        names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        names = []
    return names[0].strip() if names else platform.processor() or platform.machine()
