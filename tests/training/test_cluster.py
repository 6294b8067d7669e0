"""Ranks with and without SLURM."""

import pytest
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment

from mimbench.training.cluster import check_tasks, cluster_environment, fsdp2, num_tasks


@pytest.fixture(autouse=True)
def _outside_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "SLURM_JOB_NAME", "SLURM_NTASKS_PER_NODE", "SLURM_NNODES"):
        monkeypatch.delenv(name, raising=False)


def step(monkeypatch: pytest.MonkeyPatch, tasks: int, nodes: int = 1, **more: str) -> None:
    """Sets the environment variables of an `srun` step."""
    variables = {
        "SLURM_NTASKS": tasks,
        "SLURM_STEP_NUM_TASKS": tasks,
        "SLURM_STEP_NUM_NODES": nodes,
        "SLURM_NTASKS_PER_NODE": tasks // nodes,
        "SLURM_JOB_NAME": "mimbench",
    }
    for name, value in (variables | more).items():
        monkeypatch.setenv(name, str(value))


def test_tasks_that_match_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    check_tasks("auto", 1)  # outside SLURM, any count is accepted
    step(monkeypatch, 4, nodes=2)
    check_tasks(2, 2)


@pytest.mark.parametrize(("tasks", "nodes", "devices", "num_nodes"), [(2, 1, 1, 1), (1, 1, 2, 1), (4, 2, 2, 1)])
def test_other_counts_are_refused_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tasks: int, nodes: int, devices: int, num_nodes: int
) -> None:
    step(monkeypatch, tasks, nodes)
    with pytest.raises(ValueError, match=f"set trainer.devices={tasks // nodes} trainer.num_nodes={nodes}"):
        check_tasks(devices, num_nodes)


def test_the_same_total_on_another_number_of_nodes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    step(monkeypatch, 2, nodes=2)
    with pytest.raises(ValueError, match=r"2 tasks on 2 nodes, but .*devices=2 and trainer.num_nodes=1"):
        check_tasks(2, 1)


def test_the_total_number_of_tasks_does_not_suffice_for_lightning(monkeypatch: pytest.MonkeyPatch) -> None:
    step(monkeypatch, 2)
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE")
    with pytest.raises(ValueError, match="--ntasks-per-node=2 instead of --ntasks=2"):
        check_tasks(2, 1)


def test_tasks_are_ranks_and_lightning_does_not_requeue(monkeypatch: pytest.MonkeyPatch) -> None:
    step(monkeypatch, 2)
    environment = cluster_environment()
    assert isinstance(environment, SLURMEnvironment)
    assert not environment.auto_requeue


def test_a_batch_script_without_srun_and_a_shell_start_their_own_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "1")
    assert num_tasks() is None
    assert isinstance(cluster_environment(), LightningEnvironment)
    step(monkeypatch, 1, SLURM_JOB_NAME="interactive")
    assert isinstance(cluster_environment(), LightningEnvironment)


@pytest.mark.parametrize("devices", [1, "auto", -1])
def test_sharding_needs_two_devices(devices: int | str) -> None:
    with pytest.raises(ValueError, match="2 or more"):
        fsdp2(devices, 1, "cpu")
