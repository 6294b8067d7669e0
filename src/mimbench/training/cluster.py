"""Cluster environments and the strategy of sharded training."""

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

_INTERACTIVE = ("bash", "interactive")  # job names that Lightning treats as an interactive shell


def num_tasks() -> int | None:
    """Tasks of the `srun` step to which this process belongs; None outside `srun` and in an interactive shell."""
    if os.environ.get("SLURM_JOB_NAME") in _INTERACTIVE or "SLURM_NTASKS" not in os.environ:
        return None
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS")
    return None if tasks is None else int(tasks)


def check_tasks(devices: Any, num_nodes: int) -> None:
    """Requires one SLURM task per device; otherwise Lightning starts independent trainings.

    Without SLURM, requires that a launcher has started the processes of all nodes; otherwise Lightning waits for them.

    Raises:
        ValueError: The counts differ, or the processes of other nodes are missing.
    """
    if (tasks := num_tasks()) is None:
        no_launcher = isinstance(cluster_environment(), LightningEnvironment) and "MASTER_ADDR" not in os.environ
        if no_launcher and type(num_nodes) is int and num_nodes > 1:
            raise ValueError(
                f"trainer.num_nodes={num_nodes} needs a process on every node; use hydra/launcher=slurm, srun or "
                "torchrun."
            )
        return
    nodes = int(os.environ.get("SLURM_STEP_NUM_NODES", os.environ.get("SLURM_NNODES", "1")))
    per_node = tasks // nodes
    if devices != per_node or num_nodes != nodes or tasks % nodes:
        raise ValueError(
            f"SLURM started {tasks} task{'s' * (tasks > 1)} on {nodes} node{'s' * (nodes > 1)}, but this training has "
            f"trainer.devices={devices} and trainer.num_nodes={num_nodes}. There must be one task per device: "
            f"set trainer.devices={per_node} trainer.num_nodes={nodes}, or use "
            f"srun --nodes={num_nodes} --ntasks-per-node={devices}."
        )
    if tasks > 1 and "SLURM_NTASKS_PER_NODE" not in os.environ:
        raise ValueError(f"Use srun --ntasks-per-node={per_node} instead of --ntasks={tasks}.")


def check_batch(batch_size: int, devices: Any, num_nodes: int, accumulate: Any) -> None:
    """Raises ValueError if the images of a step cannot be shared equally by devices and accumulated batches."""
    if type(accumulate) is not int or accumulate < 1:
        raise ValueError(
            f"trainer.accumulate_grad_batches is {accumulate!r}; it must be a whole number of at least 1, which "
            "divides the effective batch."
        )
    if type(devices) is int and (devices == 0 or devices < -1):
        raise ValueError(f"trainer.devices is {devices}; it must be at least 1, or -1 for all GPUs of the machine.")
    number = len(devices) if isinstance(devices, list) else devices
    if type(number) is not int or number < 1:
        return  # "auto", or all devices of the machine: only Lightning knows their number
    world_size = number * num_nodes
    if batch_size % (shares := world_size * accumulate):
        raise ValueError(
            f"The effective batch of {batch_size} images cannot be shared by {world_size} devices x {accumulate} "
            f"accumulated batches; set optim.batch_size to a multiple of {shares}, such as "
            f"{max(1, round(batch_size / shares)) * shares}."
        )


def cluster_environment() -> ClusterEnvironment:
    """The environment from which Lightning reads ranks and addresses.

    As Lightning chooses it, with two exceptions for SLURM: the launcher requeues jobs, since Lightning's requeueing
    saves in the middle of a step; and in a batch script without `srun`, the training starts its own ranks.
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
    """The strategy that shards a method over all devices; checkpoints are single files.

    Raises:
        ValueError: `devices` is not a number, or there are fewer than 2 devices in total.
    """
    if type(devices) is not int or devices * num_nodes < 2:
        raise ValueError(f"trainer.strategy=fsdp2 needs 2 or more devices in total, got trainer.devices={devices!r}.")
    return ModelParallelStrategy(
        data_parallel_size=devices * num_nodes,
        tensor_parallel_size=1,
        save_distributed_checkpoint=False,
        process_group_backend="gloo" if accelerator == "cpu" else None,
    )
