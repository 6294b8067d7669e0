"""Hydra's door to `mimbench.experiments.launch.slurm`: runs of a sweep as SLURM jobs."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class SlurmLauncher(Launcher):
    """Submits every run as a SLURM job; `conf/hydra/launcher/slurm.yaml` lists the options."""

    def __init__(self, **options: Any):
        self.options = {k: OmegaConf.to_container(v) if OmegaConf.is_config(v) else v for k, v in options.items()}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        # Imported here, since Hydra imports all plugins at every start.
        from mimbench.experiments.launch.slurm import SlurmBackend
        from mimbench.experiments.sweep import launch_overrides

        return launch_overrides(self.hydra_context, self.config, job_overrides, SlurmBackend.from_options(self.options))
