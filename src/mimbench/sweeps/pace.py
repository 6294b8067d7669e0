"""How fast a run will be: measured before, or assumed from a GPU's peak."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Dense peaks in FLOP/s by the makers' data sheets: matrix units in bfloat16 (float16 where there is none), and float32
# outside them, since matrix units do not compute float32.
PEAKS = {
    "b200": (2.25e15, 75e12),
    "h200": (989e12, 67e12),
    "h100": (989e12, 67e12),
    "h100-pcie": (756e12, 51e12),
    "a100": (312e12, 19.5e12),
    "a40": (149.7e12, 37.4e12),
    "a10": (125e12, 31.2e12),
    "l40s": (362e12, 91.6e12),
    "l4": (121e12, 30.3e12),
    "v100": (125e12, 15.7e12),
    "t4": (65e12, 8.1e12),
    "rtx4090": (165e12, 82.6e12),
    "rtx3090": (71e12, 35.6e12),
}
_PRECISION = re.compile(r"^trainer:\n(?:  .*\n)*?  precision: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Pace:
    """Images per second on one device, and how that is known."""

    images_per_second: float
    source: str


@dataclass(frozen=True)
class Measured:
    """The pace of a finished run.

    Attributes:
        key: Method, encoder and precision.
        flops: Training operations per image.
        images_per_second: On one device.
        device: Where it ran.
    """

    key: tuple[str, str, str]
    flops: float
    images_per_second: float
    device: str


def assumed(gpu: str, mfu: float, training_flops: float, precision: str) -> Pace:
    """From a GPU's peak and the share of it that is assumed to be used.

    Raises:
        ValueError: The GPU is not known, or the share is not between 0 and 1.
    """
    if gpu not in PEAKS:
        raise ValueError(f"The peak of the GPU '{gpu}' is not known; choose {', '.join(PEAKS)}.")
    if not 0 < mfu <= 1:
        raise ValueError(f"--mfu is the share of the peak that is used, between 0 and 1, got {mfu}.")
    half = "16" in precision
    peak = PEAKS[gpu][0 if half else 1]
    return Pace(peak * mfu / training_flops, f"assumed: {mfu:.0%} of {peak:.3g} FLOP/s ({gpu}, {precision})")


def measured(runs: Iterable[Measured], key: tuple[str, str, str], training_flops: float) -> Pace | None:
    """From finished runs of the same method, encoder and precision.

    From those that cost as much per image where there are any, else from the FLOP/s of the others. Of several devices
    the one of the last run counts.
    """
    alike = [run for run in runs if run.key == key]
    if not alike:
        return None
    alike = [run for run in alike if run.device == alike[-1].device]
    same = [run for run in alike if run.flops == training_flops]
    rates = sorted(run.images_per_second * run.flops / training_flops for run in same or alike)
    how = "measured" if same else "scaled by FLOPs"
    return Pace(rates[len(rates) // 2], f"{how}: {len(rates)} runs on {alike[-1].device}")


def finished_runs(runs: Path) -> list[Measured]:
    """The paces of all finished runs in the sweeps below a directory, oldest first; unreadable records are skipped."""
    found: list[tuple[str, Measured]] = []
    for path in runs.glob("*/*/record.json"):
        try:
            record = json.loads(path.read_text())
            if record["status"] == "finished" and record["cost"].get("device_seconds"):
                found.append((record["finished"], _measured(record, path.parent)))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return [run for _, run in sorted(found, key=lambda pair: pair[0])]


def _measured(record: Mapping[str, Any], directory: Path) -> Measured:
    axes, cost = record["axes"], record["cost"]
    rate = cost["images_seen"] / cost["device_seconds"]
    key = (axes["method"], axes["encoder"], _precision(directory))
    return Measured(key, cost["training_flops_per_image"], rate, record["environment"]["device"])


def _precision(directory: Path) -> str:
    """Read without a YAML parser, which takes longer than all the rest."""
    found = _PRECISION.search((directory / "config.yaml").read_text())
    if found is None:
        raise KeyError("precision")
    return found[1].strip("'\"")
