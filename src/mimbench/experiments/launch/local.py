"""Executes the runs of a sweep as processes on this machine."""

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from mimbench.core.errors import UserError
from mimbench.experiments.launch.fork import PYTHON, fork_server
from mimbench.experiments.launch.pool import Job, Start, run_jobs, start_process
from mimbench.experiments.launch.progress import open_progress, read_last_line
from mimbench.experiments.plugins import folders
from mimbench.experiments.recorder import RunRecorder
from mimbench.experiments.sweep import PreparedRun
from mimbench.runs.directory import LOG
from mimbench.runs.lock import is_alive


class LocalBackend:
    """Executes every run in a separate process.

    Args:
        slots: Runs at a time; by default `slots_per_gpu` per GPU (or group of GPUs), or one without GPUs.
        slots_per_gpu: Runs that share a GPU, or a group of GPUs for runs on several.
        fork: Whether the processes are forked from one that has imported everything; by default only on machines
            without GPUs.
    """

    def __init__(self, slots: int | None = None, slots_per_gpu: int = 1, fork: bool | None = None):
        self.slots, self.slots_per_gpu, self.fork = slots, slots_per_gpu, fork

    def check(self, runs: Sequence[PreparedRun], trials: bool) -> None:
        """Raises UserError for invalid options."""
        for name, value in (("slots", self.slots), ("slots_per_gpu", self.slots_per_gpu)):
            if (value is not None or name != "slots") and (type(value) is not int or value < 1):
                raise UserError(f"hydra.launcher.{name} is {value!r}; it must be a whole number of at least 1.")
        if self.slots is not None and self.slots_per_gpu > 1:
            raise UserError(
                "hydra.launcher.slots already sets the number of runs at a time; give slots or slots_per_gpu."
            )
        if self.fork not in (None, True, False):
            raise UserError(f"hydra.launcher.fork is {self.fork!r}; it must be true, false or null.")

    def run(self, runs: Sequence[PreparedRun]) -> dict[Path, str]:
        """Executes the runs; see `run_jobs` for signals."""
        environments = _environments(self.slots, max(_devices(run.config) for run in runs), self.slots_per_gpu)
        jobs = [Job(run.plan.name, build_command(run), run.directory / LOG) for run in runs]
        slots = min(len(environments), len(jobs))
        print(f"{slots} at a time; their output: RUN/{LOG}", flush=True)
        with self._start(len(jobs), environments[0]) as start, open_progress() as report:
            results = run_jobs(jobs, slots, environments.__getitem__, report, report.interval, start, _is_taken)
        failed = [result for result in results if not result.ok]
        for result in failed:
            RunRecorder.mark_lost(result.job.log.parent, result.returncode)
        return {result.job.log.parent: read_last_line(result.job.log) for result in failed}

    def _start(self, jobs: int, variables: dict[str, str]) -> AbstractContextManager[Start]:
        fork = "CUDA_VISIBLE_DEVICES" not in variables if self.fork is None else self.fork
        if not fork or jobs < 2 or sys.platform != "linux":  # on other systems, libraries do not survive a fork
            return nullcontext(start_process)
        return fork_server("mimbench.cli.run:warm_up", variables)


def build_command(run: PreparedRun) -> list[str]:
    """The command line that executes a run."""
    return [*PYTHON, "mimbench", "run", *(f"--config-dir={path}" for path in folders()), *run.plan.overrides]


def _is_taken(job: Job) -> bool:
    return is_alive(job.folder)


def _devices(config: dict[str, Any]) -> int:
    devices = config["trainer"]["devices"]
    return devices if isinstance(devices, int) and devices > 0 else 1


def _environments(slots: int | None, devices: int, slots_per_gpu: int = 1) -> list[dict[str, str]]:
    """Environment variables of each slot: its GPUs, assigned in turn, or its share of the cores."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = [str(i) for i in range(torch.cuda.device_count())] if visible is None else visible.split(",")
    groups = [gpus[i : i + devices] for i in range(0, len(gpus) - devices + 1, devices) if gpus[i]]
    count = slots or max(1, len(groups) * slots_per_gpu)
    if groups:
        return [{"CUDA_VISIBLE_DEVICES": ",".join(groups[slot % len(groups)])} for slot in range(count)]
    threads = str(max(1, (os.cpu_count() or 1) // count))
    return [{"OMP_NUM_THREADS": threads} for _ in range(count)]
