"""States of SLURM jobs, and files about submitted jobs."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mimbench.experiments.launch.slurm_jobs import JobState, Submission, job_states, read_submission, write_submission
from mimbench.experiments.launch.slurm_submit import SubmissionError, submit
from mimbench.experiments.launch.slurm_task import SlurmTask

Command = Callable[[str, str], Path]


def test_states_come_from_squeue_and_for_older_jobs_from_sacct(command: Command) -> None:
    command("squeue", "printf '7_0|RUNNING|None\\n7_1|PENDING|Resources\\n8|TIMEOUT|TimeLimit\\n99|RUNNING|None\\n'")
    calls = command("sacct", "printf '6_3|CANCELLED by 1000\\n6_4|FAILED\\n'")
    states = job_states(["7_0", "7_1", "8", "6_3", "5"])
    assert states == {
        "7_0": JobState("RUNNING"),
        "7_1": JobState("PENDING", "Resources"),
        "8": JobState("TIMEOUT", "TimeLimit"),
        "6_3": JobState("CANCELLED"),
    }
    assert calls.read_text().split()[-1] == "5,6"
    assert [state.live for state in states.values()] == [True, True, False, False]


def test_without_accounting_an_older_job_is_left_out(command: Command) -> None:
    command("squeue", "printf '7|RUNNING|None\\n'")
    command("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert job_states(["7", "6"]) == {"7": JobState("RUNNING")}


def test_a_failure_of_squeue_is_not_an_empty_queue(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command("squeue", "exit 1")
    assert job_states(["7"]) is None
    monkeypatch.setenv("PATH", "")
    assert job_states(["7"]) is None


def test_a_submission_is_read_as_written(tmp_path: Path) -> None:
    assert read_submission(tmp_path / "run") is None
    submission = Submission("7_1", "2026-01-01T00:00:00+00:00", "out.txt", 2, {"time": 90})
    write_submission(submission, tmp_path / "run")
    assert read_submission(tmp_path / "run") == submission


@pytest.fixture
def parameters() -> dict[str, object]:
    return {"nodes": 1, "ntasks_per_node": 2, "time": 90, "additional_parameters": {"requeue": True, "nice": 100}}


def tasks(tmp_path: Path, count: int) -> dict[Path, SlurmTask]:
    directories = [tmp_path / f"run{i}" for i in range(count)]
    return {d: SlurmTask([sys.executable, "-c", ""], d / "log.txt", 3) for d in directories}


def test_runs_become_one_array_and_store_their_element(
    command: Command, tmp_path: Path, parameters: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    command("srun", "")
    variables = tmp_path / "variables"
    command("sbatch", f"env > {variables}; cp $1 {tmp_path}/script; echo Submitted batch job 12")
    for name, value in {"SLURM_JOB_ID": "3", "SLURM_NTASKS": "8", "SLURM_CONF": "here", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    submissions = submit(tasks(tmp_path, 3), tmp_path / "slurm", parameters, {"time": 90}, parallel=2)
    assert [submission.job for submission in submissions] == ["12_0", "12_1", "12_2"]
    assert read_submission(tmp_path / "run2") == submissions[2]
    assert submissions[2].tasks == 2
    script = (tmp_path / "script").read_text()
    for line in ("--array=0-2%2", "--ntasks-per-node=2", "--time=90", "--requeue", "--nice=100", "--signal=USR2@90"):
        assert f"#SBATCH {line}\n" in script
    names = {line.partition("=")[0] for line in variables.read_text().splitlines()}
    assert "SLURM_CONF" in names
    assert not {"SLURM_JOB_ID", "SLURM_NTASKS", "RANK"} & names


def test_a_rejected_submission_raises_slurms_message(
    command: Command, tmp_path: Path, parameters: dict[str, object]
) -> None:
    command("srun", "")
    command("sbatch", "echo 'sbatch: error: Batch job submission failed: Invalid account' >&2; exit 1")
    with pytest.raises(SubmissionError, match=r"^Batch job submission failed: Invalid account$"):
        submit(tasks(tmp_path, 1), tmp_path / "slurm", parameters, {})
    assert read_submission(tmp_path / "run0") is None
