"""A sweep on this machine: plan, run what is left, say how it went."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from mimbench.cli.bookkeeping import Bookkeeping
from mimbench.cli.build import inspect
from mimbench.cli.config import describe, plain, run_directory, sweep_directory
from mimbench.cli.mistakes import Mistake
from mimbench.sweeps import Job, JobResult, PlannedRun, merge_manifest, run_jobs
from mimbench.sweeps.pool import SweepFailed


def launch(configs: Sequence[DictConfig], overrides: Sequence[list[str]], slots: int | None) -> list[JobReturn]:
    """Runs all jobs of a sweep that can exist and have not finished.

    Raises:
        Mistake: No job can exist.
        SweepFailed: Some jobs failed; all others have ended.
    """
    resolved = [plain(config) for config in configs]
    runs = [describe(config, words, *inspect(config)) for config, words in zip(resolved, overrides, strict=True)]
    refused = [run for run in runs if run.refused]
    if len(refused) == len(runs):
        raise Mistake(" ".join(dict.fromkeys(str(run.refused) for run in refused)))
    for run in refused:
        print(f"left out: {' '.join(run.overrides)}: {run.refused}")
    for directory in dict.fromkeys(sweep_directory(config) for config in resolved):
        own = [run for run, config in zip(runs, resolved, strict=True) if sweep_directory(config) == directory]
        merge_manifest(directory, directory.name, own)
    jobs = [_job(config, run) for config, run in zip(resolved, runs, strict=True) if not run.refused]
    unique = list({job.name: job for job in jobs}.values())
    environments = _environments(slots, max(_devices(config) for config in resolved))
    results = run_jobs(unique, len(environments), environments.__getitem__, _Report())
    failed = [result for result in results if not result.ok]
    for result in failed:
        Bookkeeping.lost(result.job.log.parent, result.returncode)
    if failed:
        sweep = failed[0].job.log.parents[1]
        raise SweepFailed(f"{len(failed)} of {len(results)} runs failed; `mimbench report {sweep}` shows them.")
    return [JobReturn(overrides=words, status=JobStatus.COMPLETED) for words in overrides]


def _job(config: dict[str, Any], run: PlannedRun) -> Job:
    command = [sys.executable, "-u", "-m", "mimbench", "run", *run.overrides]
    return Job(run.name, command, run_directory(config, run) / "log.txt")


def _devices(config: dict[str, Any]) -> int:
    devices = config["trainer"]["devices"]
    return devices if isinstance(devices, int) and devices > 0 else 1


def _environments(slots: int | None, devices: int) -> list[dict[str, str]]:
    """One set of variables per slot: its GPUs, or its share of the cores."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = [str(i) for i in range(torch.cuda.device_count())] if visible is None else visible.split(",")
    groups = [gpus[i : i + devices] for i in range(0, len(gpus) - devices + 1, devices) if gpus[i]]
    count = slots or max(1, len(groups))
    if groups:
        return [{"CUDA_VISIBLE_DEVICES": ",".join(groups[slot % len(groups)])} for slot in range(count)]
    threads = str(max(1, (os.cpu_count() or 1) // count))
    return [{"OMP_NUM_THREADS": threads} for _ in range(count)]


class _Report:
    """Lines about a sweep's progress: every end, and now and then what runs."""

    def __init__(self) -> None:
        self.told = 0
        self.calls = 0

    def __call__(self, results: Sequence[JobResult], running: Sequence[Job], total: int) -> None:
        for result in results[self.told :]:
            how = "done  " if result.ok else "FAILED"
            tail = "" if result.ok else f"  {_last_line(result.job.log)}  (log: {result.job.log})"
            self._print(f"{how} {result.job.name}  {result.seconds:.0f} s{tail}", len(results), total)
        ended = len(results) > self.told
        self.told = len(results)
        self.calls += 1
        if running and not ended and self.calls % 8 == 0:
            self._print("  ".join(f"{job.name}: {_last_line(job.log)}" for job in running), len(results), total)

    @staticmethod
    def _print(text: str, done: int, total: int) -> None:
        print(f"[{done:>3}/{total}] {text}", flush=True)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1][:160] if lines else "starting"
