"""Trainings over several tasks and nodes of a real SLURM."""

import subprocess
import sys

from slurm.user import TINY, User, record, rows


def test_two_tasks_and_two_nodes_train_alike_and_shards_like_copies(user: User) -> None:
    steps = ("budget=steps", "budget.steps=4")
    user.sweep("tasks", *steps, "trainer.devices=2")
    user.sweep("nodes", *steps, "trainer.num_nodes=2")
    user.sweep("shards", *steps, "trainer.num_nodes=2", "trainer.strategy=fsdp2")
    [tasks], [nodes], [shards] = (user.runs(name) for name in ("tasks", "nodes", "shards"))
    for run in (tasks, nodes, shards):
        assert record(run)["status"] == "finished"
        assert "MEMBER: 2/2" in (run / "log.rank1.txt").read_text()
        written = [row.rpartition(",")[0] for row in rows(run)]
        assert len(set(written)) == len(written)  # by one process
    weights = (tasks / "encoder.safetensors").read_bytes()
    assert (nodes / "encoder.safetensors").read_bytes() == weights
    assert (shards / "encoder.safetensors").read_bytes() == weights  # sums of two numbers have one order


def test_tasks_that_are_not_one_per_device_are_refused_before_anything_is_written(user: User) -> None:
    command = ["srun", "--nodes=1", "--ntasks-per-node=2", sys.executable, "-m", "mimbench", "run", *TINY]
    answer = subprocess.run(command, cwd=user.home, env=user.environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 2, answer.stderr
    assert "SLURM started 2 tasks on 1 node" in answer.stderr
    assert "set trainer.devices=2 trainer.num_nodes=1" in answer.stderr
    assert not list(user.home.glob("runs/*/*"))
