"""Hydra's door to `mimbench.experiments.launch.local`: runs of a sweep as processes of this machine."""

from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class LocalLauncher(Launcher):
    """Runs every job in a process of its own, `slots` at a time.

    Args:
        slots: Jobs at a time; None is slots_per_gpu per GPU, or one on a machine without.
        slots_per_gpu: Jobs that share a GPU, or the GPUs of a job that trains on several.
        fork: Whether jobs are forked from a process that has imported everything; None is on machines without GPUs.
    """

    def __init__(self, slots: int | None = None, slots_per_gpu: int = 1, fork: bool | None = None):
        self.slots, self.slots_per_gpu, self.fork = slots, slots_per_gpu, fork

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        # Imported here, since Hydra imports all plugins at every start.
        from mimbench.experiments.launch.local import LocalBackend
        from mimbench.experiments.sweep import launch_overrides

        backend = LocalBackend(self.slots, self.slots_per_gpu, self.fork)
        return launch_overrides(self.hydra_context, self.config, job_overrides, backend)
