"""Parameters of SLURM jobs, submission, and waiting for jobs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mimbench.core.errors import UserError
from mimbench.experiments.launch import slurm, slurm_watch
from mimbench.experiments.launch.slurm import SlurmBackend
from mimbench.experiments.launch.slurm_jobs import JobState, Submission, read_submission, write_submission
from mimbench.experiments.launch.slurm_watch import watch
from mimbench.experiments.sweep import PreparedRun
from mimbench.runs import records
from mimbench.runs.directory import RECORD
from mimbench.runs.manifest import PlannedRun
from mimbench.runs.records import Record

AXES = {"method": "mae", "encoder": "e", "depth": 2, "data": "d", "seed": 0}


def prepared(directory: Path, workers: int = 0, **trainer: Any) -> PreparedRun:
    settings = {"devices": 1, "num_nodes": 1, "accelerator": "cpu"} | trainer
    config = {"trainer": settings, "data": {"num_workers": workers}}
    return PreparedRun(config, PlannedRun("0", directory.name, {}, ["seed=0"]), directory)


def write_record(directory: Path, status: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    records.write(Record(identity="0", name=directory.name, status=status, axes=AXES, started="", sweep="s"), directory)


def parameters(run: PreparedRun, **options: Any) -> dict[str, Any]:
    return SlurmBackend(**options)._parameters(run)


def test_nodes_tasks_and_gpus_follow_the_training(tmp_path: Path) -> None:
    found = parameters(prepared(tmp_path / "s" / "run", workers=7, devices=4, num_nodes=2, accelerator="auto"))
    wanted = {"nodes": 2, "ntasks_per_node": 4, "gpus_per_node": 4, "cpus_per_task": 8, "job_name": "mimbench-s"}
    assert found.items() >= wanted.items()
    assert "--cpus-per-task=8" in found["srun_args"]
    assert parameters(prepared(tmp_path))["gpus_per_node"] is None


def test_options_reach_sbatch(tmp_path: Path) -> None:
    options = {"partition": "gpu", "time": "2-00", "mem": "64G", "constraint": "a100", "account": "me"}
    found = parameters(prepared(tmp_path), sbatch={"reservation": "x"}, setup=["module load cuda"], **options)
    assert found.items() >= options.items()
    assert found["additional_parameters"] == {"requeue": True, "reservation": "x"}
    assert found["setup"] == ["module load cuda"]


@pytest.mark.parametrize(
    ("options", "trainer", "remedy"),
    [
        ({"tasks_per_node": 2}, {}, "set trainer.devices=2"),
        ({"nodes": 2}, {}, "set trainer.num_nodes=2"),
        ({"gpus_per_node": 1}, {"devices": 2, "accelerator": "gpu"}, "set trainer.devices=1"),
        ({}, {"devices": "auto"}, "number of devices per node"),
    ],
)
def test_counts_that_differ_from_the_training_are_rejected(
    tmp_path: Path, options: dict[str, Any], trainer: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(UserError, match=remedy):
        SlurmBackend(**options).check([prepared(tmp_path, **trainer)], trials=False)


def test_an_unknown_option_and_a_detached_search_are_rejected() -> None:
    with pytest.raises(UserError, match=r"no option 'partitoin'. Did you mean partition"):
        SlurmBackend.from_options({"partitoin": "gpu"})
    with pytest.raises(UserError, match="search waits"):
        SlurmBackend(detach=True).check([], trials=True)


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the successive answers of SLURM; the last one is repeated."""

    def answer(*given: Mapping[str, JobState] | None) -> None:
        left = list(given)
        for module in (slurm, slurm_watch):
            monkeypatch.setattr(module, "job_states", lambda jobs: left.pop(0) if len(left) > 1 else left[0])

    return answer


RUNNING, CANCELLED, COMPLETED = JobState("RUNNING"), JobState("CANCELLED"), JobState("COMPLETED")


def submission(job: str) -> Submission:
    return Submission(job, "", "no such file", 1)


def test_a_canceled_job_is_a_failure_and_ends_the_wait(
    tmp_path: Path, states: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    done, lost = tmp_path / "done", tmp_path / "lost"
    write_record(done, "finished")
    write_record(lost, "running")
    states(None, {"1": RUNNING, "2": RUNNING}, {"1": COMPLETED, "2": CANCELLED})
    failed = watch({done: submission("1"), lost: submission("2")}, interval=0.0)
    assert list(failed) == [lost]
    assert "Job 2 ended as CANCELLED" in failed[lost]
    assert records.read(lost / RECORD).status == "failed"
    assert "done   done" in capsys.readouterr().out


def test_a_job_that_slurm_no_longer_lists_has_ended(tmp_path: Path, states: Callable[..., None]) -> None:
    lost = tmp_path / "lost"
    states({})
    assert "Job 1 is gone" in watch({lost: submission("1")}, interval=0.0)[lost]


def test_a_job_that_is_not_listed_yet_is_waited_for(tmp_path: Path, states: Callable[..., None]) -> None:
    run = tmp_path / "run"
    states({}, {"1": RUNNING}, {}, {}, {"1": RUNNING}, {"1": COMPLETED})
    assert "COMPLETED" in watch({run: submission("1")}, interval=0.0)[run]  # it has no record


def test_a_queued_run_is_not_submitted_again(
    tmp_path: Path, states: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = tmp_path / "s" / "old", tmp_path / "s" / "new"
    write_submission(submission("7"), old)
    given: list[Path] = []

    def submit(tasks: Mapping[Path, Any], *_: Any) -> list[Submission]:
        given.extend(tasks)
        return [submission("8") for _ in tasks]

    monkeypatch.setattr(slurm, "submit", submit)
    states({"7": RUNNING})
    assert SlurmBackend(detach=True).run([prepared(old), prepared(new)]) == {}
    assert given == [new]
    assert read_submission(old) == submission("7")
    out = capsys.readouterr().out
    assert "old is job 7 already" in out
    assert "`scancel 7 8` cancels them" in out


def test_ctrl_c_ends_the_wait_and_prints_how_to_cancel_the_jobs(
    tmp_path: Path, states: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "s" / "run"
    write_submission(submission("7_2"), run)
    states({"7_2": RUNNING})

    def interrupted(jobs: Mapping[Path, Submission]) -> dict[Path, str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(slurm, "watch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        SlurmBackend().run([prepared(run)])
    assert "The jobs go on without this command" in (out := capsys.readouterr().out)
    assert "`scancel 7` cancels them" in out
