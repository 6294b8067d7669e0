"""Runs of a sweep as processes on this machine."""

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from mimbench.cli.bookkeeping import Bookkeeping
from mimbench.cli.mistakes import Mistake
from mimbench.cli.progress import ProgressLines, last_line
from mimbench.cli.sweep import Cell
from mimbench.sweeps import Job, run_jobs
from mimbench.sweeps.fork import PYTHON, fork_server
from mimbench.sweeps.pool import Start, start_process


class LocalBackend:
    """Every run in a process of its own, `slots` at a time; by default `slots_per_gpu` per GPU, or one without GPUs.

    Args:
        fork: Whether these processes are forked from one that has imported everything; by default on machines without
            GPUs.
    """

    def __init__(self, slots: int | None = None, slots_per_gpu: int = 1, fork: bool | None = None):
        self.slots, self.slots_per_gpu, self.fork = slots, slots_per_gpu, fork

    def check(self, cells: Sequence[Cell], trials: bool) -> None:
        """Refuses a number of runs at a time that means nothing."""
        for name, value in (("slots", self.slots), ("slots_per_gpu", self.slots_per_gpu)):
            if (value is not None or name != "slots") and (type(value) is not int or value < 1):
                raise Mistake(f"hydra.launcher.{name} is {value!r}; it must be a whole number of at least 1.")
        if self.slots is not None and self.slots_per_gpu > 1:
            raise Mistake("hydra.launcher.slots is the number of all runs at a time; give it or slots_per_gpu.")
        if self.fork not in (None, True, False):
            raise Mistake(f"hydra.launcher.fork is {self.fork!r}; it must be true, false or null.")

    def run(self, cells: Sequence[Cell]) -> dict[Path, str]:
        """Does the runs; see `run_jobs` for signals."""
        environments = _environments(self.slots, max(_devices(cell.config) for cell in cells), self.slots_per_gpu)
        jobs = [Job(cell.run.name, command(cell), cell.directory / "log.txt") for cell in cells]
        with self._start(len(jobs), environments[0]) as start:
            results = run_jobs(jobs, len(environments), environments.__getitem__, ProgressLines(), start=start)
        failed = [result for result in results if not result.ok]
        for result in failed:
            Bookkeeping.lost(result.job.log.parent, result.returncode)
        return {result.job.log.parent: last_line(result.job.log) for result in failed}

    def _start(self, jobs: int, variables: dict[str, str]) -> AbstractContextManager[Start]:
        fork = "CUDA_VISIBLE_DEVICES" not in variables if self.fork is None else self.fork
        if not fork or jobs < 2 or sys.platform != "linux":  # elsewhere libraries do not survive a fork
            return nullcontext(start_process)
        return fork_server("mimbench.cli.run:warm_up", variables)


def command(cell: Cell) -> list[str]:
    """What does a run, as a command line."""
    return [*PYTHON, "mimbench", "run", *cell.run.overrides]


def _devices(config: dict[str, Any]) -> int:
    devices = config["trainer"]["devices"]
    return devices if isinstance(devices, int) and devices > 0 else 1


def _environments(slots: int | None, devices: int, slots_per_gpu: int = 1) -> list[dict[str, str]]:
    """One set of variables per slot: its GPUs, or its share of the cores. Slots go round the GPUs."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = [str(i) for i in range(torch.cuda.device_count())] if visible is None else visible.split(",")
    groups = [gpus[i : i + devices] for i in range(0, len(gpus) - devices + 1, devices) if gpus[i]]
    count = slots or max(1, len(groups) * slots_per_gpu)
    if groups:
        return [{"CUDA_VISIBLE_DEVICES": ",".join(groups[slot % len(groups)])} for slot in range(count)]
    threads = str(max(1, (os.cpu_count() or 1) // count))
    return [{"OMP_NUM_THREADS": threads} for _ in range(count)]
