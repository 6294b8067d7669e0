"""Where the ranks of a training come from, and how they share it."""

import os
from typing import Any

from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    LSFEnvironment,
    MPIEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.strategies import ModelParallelStrategy

_INTERACTIVE = ("bash", "interactive")  # names by which Lightning knows a shell on a node


def num_tasks() -> int | None:
    """Tasks of the `srun` step that this process belongs to; None outside of one, and in an interactive shell."""
    if os.environ.get("SLURM_JOB_NAME") in _INTERACTIVE or "SLURM_NTASKS" not in os.environ:
        return None
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS")
    return None if tasks is None else int(tasks)


def check_tasks(devices: Any, num_nodes: int) -> None:
    """Refuses a number of SLURM tasks that is not one per device, of which Lightning would make several trainings.

    Without SLURM it refuses several nodes that nothing has started, for which Lightning would wait.

    Raises:
        ValueError: The counts differ; says what to set.
    """
    if (tasks := num_tasks()) is None:
        alone = isinstance(cluster_environment(), LightningEnvironment) and "MASTER_ADDR" not in os.environ
        if alone and type(num_nodes) is int and num_nodes > 1:
            raise ValueError(
                f"trainer.num_nodes={num_nodes} needs a process on every node; start it with hydra/launcher=slurm, "
                "srun or torchrun."
            )
        return
    nodes = int(os.environ.get("SLURM_STEP_NUM_NODES", os.environ.get("SLURM_NNODES", "1")))
    each = tasks // nodes
    if devices != each or num_nodes != nodes or tasks % nodes:
        raise ValueError(
            f"SLURM started {tasks} task{'s' * (tasks > 1)} on {nodes} node{'s' * (nodes > 1)}, but this training has "
            f"trainer.devices={devices} and trainer.num_nodes={num_nodes}. One task is one device: "
            f"set trainer.devices={each} trainer.num_nodes={nodes}, or start "
            f"srun --nodes={num_nodes} --ntasks-per-node={devices}."
        )
    if tasks > 1 and "SLURM_NTASKS_PER_NODE" not in os.environ:
        raise ValueError(f"Give the tasks per node: srun --ntasks-per-node={each}, instead of --ntasks={tasks}.")


def cluster_environment() -> ClusterEnvironment:
    """What tells Lightning ranks and addresses.

    Lightning's own choice, but for SLURM: there requeueing is the launcher's, since Lightning's saves in the middle of
    a step; and in a batch script without `srun` a training starts its own ranks.
    """
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if num_tasks() is not None:
        return SLURMEnvironment(auto_requeue=False)
    for kind in (LSFEnvironment, MPIEnvironment):
        if kind.detect():
            return kind()
    return LightningEnvironment()


def fsdp2(devices: Any, num_nodes: int, accelerator: str) -> ModelParallelStrategy:
    """The strategy under which a method shards itself over all devices; its checkpoints are whole files.

    Raises:
        ValueError: The number of devices is not given, or there is only one.
    """
    if type(devices) is not int or devices * num_nodes < 2:
        raise ValueError(f"trainer.strategy=fsdp2 needs a number of devices, 2 or more in all; got {devices!r}.")
    return ModelParallelStrategy(
        data_parallel_size=devices * num_nodes,
        tensor_parallel_size=1,
        save_distributed_checkpoint=False,
        process_group_backend="gloo" if accelerator == "cpu" else None,
    )
