"""Training speed in images per second: measured in finished runs, or assumed from the peak of a GPU."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mimbench.runs import records
from mimbench.runs.directory import RECORD
from mimbench.runs.directory import config as read_config
from mimbench.runs.records import Record
from mimbench.runs.state import State

# Dense peaks in FLOP/s from the manufacturers' data sheets: bfloat16 on tensor cores (float16 without bfloat16), and
# float32 without tensor cores, which do not compute in float32.
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


# Device-seconds of the shortest run whose pace is used: the first steps allocate, compile and fill caches.
SHORTEST = 10.0


@dataclass(frozen=True)
class Pace:
    """Training speed on one device.

    Attributes:
        source: How it is known, for the plan.
        kind: "GPU" or "CPU".
    """

    images_per_second: float
    source: str
    kind: str = "GPU"


@dataclass(frozen=True)
class MeasuredRun:
    """The measured speed of a finished run.

    Attributes:
        key: Method, encoder and precision.
        flops: Training FLOPs per image.
        images_per_second: On one device.
        device: Name of the device.
        seconds: Device-seconds of training.
    """

    key: tuple[str, str, str]
    flops: float
    images_per_second: float
    device: str
    seconds: float = field(default=math.inf, compare=False)

    @property
    def is_short(self) -> bool:
        """Whether start-up is a large part of its time."""
        return self.seconds < SHORTEST


def assume_pace(gpu: str, mfu: float, training_flops: float, precision: str) -> Pace:
    """The pace that follows from the peak of a GPU and the share of it that is used (model FLOPs utilization).

    Raises:
        ValueError: The GPU is unknown, or `mfu` is not between 0 and 1.
    """
    if gpu not in PEAKS:
        raise ValueError(f"The peak of the GPU '{gpu}' is unknown; choose one of {', '.join(PEAKS)}.")
    if not 0 < mfu <= 1:
        raise ValueError(f"--mfu is {mfu}; it is the share of the peak that is used and must be between 0 and 1.")
    half = "16" in precision
    peak = PEAKS[gpu][0 if half else 1]
    return Pace(peak * mfu / training_flops, f"assumed: {mfu:.0%} of {peak:.3g} FLOP/s ({gpu}, {precision})")


def measured_pace(runs: Iterable[MeasuredRun], key: tuple[str, str, str], training_flops: float) -> Pace | None:
    """The median pace of finished runs with the same method, encoder and precision; None without such runs.

    Runs shorter than `SHORTEST` are ignored. Only runs on the device of the last one are used. If some have equal
    FLOPs per image, the others are ignored; otherwise their paces are scaled by FLOPs.
    """
    similar = [run for run in runs if run.key == key and not run.is_short]
    if not similar:
        return None
    similar = [run for run in similar if run.device == similar[-1].device]
    same = [run for run in similar if run.flops == training_flops]
    rates = sorted(run.images_per_second * run.flops / training_flops for run in same or similar)
    how, device = "measured" if same else "scaled by FLOPs", similar[-1].device
    kind = "CPU" if device.upper().startswith("CPU") else "GPU"
    count = "1 run" if len(rates) == 1 else f"{len(rates)} runs"
    return Pace(rates[len(rates) // 2], f"{how}: {count} on {device}", kind)


def read_finished_runs(runs: Path) -> list[MeasuredRun]:
    """All finished runs in the sweeps of a directory, oldest first; unreadable records are skipped."""
    found: list[tuple[str, MeasuredRun]] = []
    for path in runs.glob(f"*/*/{RECORD}"):
        try:
            record = records.read(path)
            if record.status == State.FINISHED and record.cost.get("device_seconds"):
                found.append((record.finished or "", _measured_run(record, path.parent)))
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
            continue
    return [run for _, run in sorted(found, key=lambda pair: pair[0])]


def _measured_run(record: Record, directory: Path) -> MeasuredRun:
    axes, cost = record.axes, record.cost
    rate = cost["images_seen"] / cost["device_seconds"]
    key = (axes["method"], axes["encoder"], str(read_config(directory)["trainer"]["precision"]))
    return MeasuredRun(
        key, cost["training_flops_per_image"], rate, record.environment["device"], cost["device_seconds"]
    )
