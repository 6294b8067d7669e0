"""A sweep: plan, hand over what is left to this machine or to a cluster, say how it went."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig, read_write

from mimbench.cli.bookkeeping import Bookkeeping
from mimbench.cli.build import inspect
from mimbench.cli.config import describe, plain, run_directory, sweep_directory
from mimbench.cli.mistakes import Mistake
from mimbench.cli.objective import check_objective, objective_of
from mimbench.sweeps import PlannedRun, merge_manifest
from mimbench.sweeps.pool import SweepFailed


@dataclass(frozen=True)
class Cell:
    """A run that can exist: its resolved configuration, its plan and where it writes."""

    config: dict[str, Any]
    run: PlannedRun
    directory: Path


@runtime_checkable
class Backend(Protocol):
    """Where runs are done."""

    def check(self, cells: Sequence[Cell], trials: bool) -> None:
        """Raises Mistake for what cannot work there, before anything is written; `trials` have to have results."""
        ...

    def run(self, cells: Sequence[Cell]) -> dict[Path, str]:
        """Does the runs; returns how those ended that did not finish, by directory."""
        ...


def launch_overrides(
    context: HydraContext, config: DictConfig, overrides: Sequence[Sequence[str]], backend: Backend
) -> list[JobReturn]:
    """What Hydra's launchers do: `launch` for the words of the jobs; its trials, where a sweeper searches.

    Args:
        config: The sweep's. Of a search it learns that results lie beside the runs, instead of where Hydra may write.
    """
    words = [list(each) for each in overrides]
    configs = [context.config_loader.load_sweep_config(config, each) for each in words]
    trials = config.hydra.runtime.choices["hydra/sweeper"] != "basic"
    if trials:
        with read_write(config):
            config.hydra.sweep.dir = str(sweep_directory(plain(configs[0])))
    return launch(configs, words, backend, trials)


def launch(
    configs: Sequence[DictConfig], overrides: Sequence[list[str]], backend: Backend, trials: bool = False
) -> list[JobReturn]:
    """Runs all jobs of a sweep that can exist and have not finished.

    Args:
        trials: Return failures instead of raising them, since a sweeper wants to learn from them.

    Raises:
        Mistake: No job can exist.
        SweepFailed: Some jobs failed; all others have ended.
    """
    resolved = [plain(config) for config in configs]
    runs = [describe(config, words, *inspect(config)) for config, words in zip(resolved, overrides, strict=True)]
    cells = [Cell(config, run, run_directory(config, run)) for config, run in zip(resolved, runs, strict=True)]
    possible = list({cell.directory: cell for cell in cells if not cell.run.refused}.values())
    refused = [run for run in runs if run.refused]
    if not possible and not trials:
        raise Mistake(" ".join(dict.fromkeys(str(run.refused) for run in refused)))
    check_objective(resolved[0], required=trials)
    backend.check(possible, trials)
    for run in refused:
        print(f"left out: {' '.join(run.overrides)}: {run.refused}")
    for directory in dict.fromkeys(sweep_directory(config) for config in resolved):
        own = [run for run, config in zip(runs, resolved, strict=True) if sweep_directory(config) == directory]
        merge_manifest(directory, directory.name, own)
    left = [cell for cell in possible if not Bookkeeping.finished(cell.directory)]
    if len(left) < len(possible):
        print(f"{len(possible) - len(left)} of {len(possible)} runs have finished before; nothing to do for them.")
    failed = backend.run(left) if left else {}
    if failed and not trials:
        sweep = next(iter(failed)).parent
        raise SweepFailed(f"{len(failed)} of {len(left)} runs failed; `mimbench report {sweep}` shows them.")
    return [_returned(cell, failed) for cell in cells if trials or not cell.run.refused]


def _returned(cell: Cell, failed: dict[Path, str]) -> JobReturn:
    reason = cell.run.refused or failed.get(cell.directory)
    status = JobStatus.FAILED if reason else JobStatus.COMPLETED
    value = SweepFailed(reason) if reason else objective_of(cell.config, cell.directory)
    return JobReturn(overrides=list(cell.run.overrides), status=status, _return_value=value)
