"""Plans a sweep and runs its unfinished runs on a backend: this machine or a cluster."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig, read_write

from mimbench.core.errors import UserError
from mimbench.experiments.build import check_parts
from mimbench.experiments.config import describe, resolve, run_directory, sweep_directory
from mimbench.experiments.evaluation.existing import missing_protocols, use_existing
from mimbench.experiments.launch.pool import SweepFailed
from mimbench.experiments.objective import check_objective, read_objective
from mimbench.experiments.recorder import RunRecorder
from mimbench.runs.manifest import Manifest, PlannedRun, merge_manifest


@dataclass(frozen=True)
class PreparedRun:
    """A run that can work: resolved configuration, plan and directory."""

    config: dict[str, Any]
    plan: PlannedRun
    directory: Path


@runtime_checkable
class Backend(Protocol):
    """Where runs are executed."""

    def check(self, runs: Sequence[PreparedRun], trials: bool) -> None:
        """Raises UserError for runs that cannot work on the backend, before anything is written.

        Args:
            trials: Whether a search waits for the results.
        """
        ...

    def run(self, runs: Sequence[PreparedRun]) -> dict[Path, str]:
        """Executes the runs; returns the reasons for those that did not finish, by directory."""
        ...


def launch_overrides(
    context: HydraContext, config: DictConfig, overrides: Sequence[Sequence[str]], backend: Backend
) -> list[JobReturn]:
    """Implements `launch` of Hydra's launchers; with a sweeper that searches, the jobs are trials.

    Args:
        config: Configuration of the sweep. For a search, its `hydra.sweep.dir` is set to the sweep's directory, so that
            the sweeper writes its results beside the runs.
    """
    jobs = [list(job) for job in overrides]
    configs = [context.config_loader.load_sweep_config(config, job) for job in jobs]
    trials = config.hydra.runtime.choices["hydra/sweeper"] != "basic"
    if trials:
        with read_write(config):
            config.hydra.sweep.dir = str(sweep_directory(resolve(configs[0])))
    return launch(configs, jobs, backend, trials)


def launch(
    configs: Sequence[DictConfig], overrides: Sequence[list[str]], backend: Backend, trials: bool = False
) -> list[JobReturn]:
    """Runs all jobs of a sweep that can work and have not finished.

    Args:
        trials: Whether the jobs are trials of a search; failures are then returned to the sweeper, not raised.

    Raises:
        UserError: No job can work.
        SweepFailed: Some jobs failed; all others have ended.
    """
    resolved = [resolve(config) for config in configs]
    plans = [
        use_existing(config, describe(config, own, *check_parts(config)))
        for config, own in zip(resolved, overrides, strict=True)
    ]
    runs = [
        PreparedRun(config, plan, run_directory(config, plan)) for config, plan in zip(resolved, plans, strict=True)
    ]
    possible = list({run.directory: run for run in runs if not run.plan.refused}.values())
    refused = [plan for plan in plans if plan.refused]
    if not possible and not trials:
        raise UserError(" ".join(dict.fromkeys(str(plan.refused) for plan in refused)))
    check_objective(resolved[0], required=trials)
    backend.check(possible, trials)
    for plan in refused:
        print(f"left out: {' '.join(plan.overrides)}: {plan.refused}")
    for directory in dict.fromkeys(sweep_directory(config) for config in resolved):
        own = [plan for plan, config in zip(plans, resolved, strict=True) if sweep_directory(config) == directory]
        merge_manifest(directory, directory.name, own)
    left, unreadable = _unfinished(possible)
    if (finished := len(possible) - len(left) - len(unreadable)) > 0:
        print(f"{finished} of {len(possible)} runs have finished before; nothing to do for them.")
    if left:
        print(describe_sweep(left), flush=True)
    failed = unreadable | (backend.run(left) if left else {})
    if failed and not trials:
        sweep = next(iter(failed)).parent
        total = len(left) + len(unreadable)
        raise SweepFailed(
            f"{len(failed)} of {total} runs failed; `mimbench report {sweep}` shows them, `mimbench retry {sweep}` "
            "runs them again."
        )
    if left and not trials:
        detached = not all(RunRecorder.is_finished(run.directory) for run in left)
        print(f"Next: mimbench {'status' if detached else 'report'} {left[0].directory.parent}", flush=True)
    return [_job_return(run, failed) for run in runs if trials or not run.plan.refused]


def describe_sweep(runs: Sequence[PreparedRun]) -> str:
    """What is going to be done: number of runs, directory, the values of every axis, and the protocols."""
    rows = Manifest("", tuple(run.plan for run in runs)).axes
    rows["protocols"] = list(dict.fromkeys(key for run in runs for key in run.config.get("protocol") or ()))
    sweeps = ", ".join(dict.fromkeys(str(run.directory.parent) for run in runs))
    width = max(map(len, rows))
    lines = [f"  {name:<{width}}  {_listed(values)}" for name, values in rows.items() if values]
    return "\n".join([f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} in {sweeps}", *lines])


def _listed(values: Sequence[Any], most: int = 12) -> str:
    shown = ", ".join(map(str, values[:most]))
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")


def _unfinished(runs: Sequence[PreparedRun]) -> tuple[list[PreparedRun], dict[Path, str]]:
    """The runs to be trained or evaluated, and the reasons for those whose record cannot be read."""
    left: list[PreparedRun] = []
    unreadable: dict[Path, str] = {}
    for run in runs:
        try:
            if not RunRecorder.is_finished(run.directory) or missing_protocols(run.config, run.directory):
                left.append(run)
        except ValueError as error:
            unreadable[run.directory] = str(error)
            print(f"{error} The run is left out; delete the file to run it again.", file=sys.stderr)
    return left, unreadable


def _job_return(run: PreparedRun, failed: dict[Path, str]) -> JobReturn:
    reason = run.plan.refused or failed.get(run.directory)
    status = JobStatus.FAILED if reason else JobStatus.COMPLETED
    value = SweepFailed(reason) if reason else read_objective(run.config, run.directory)
    return JobReturn(overrides=list(run.plan.overrides), status=status, _return_value=value)
