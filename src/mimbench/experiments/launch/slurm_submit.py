"""Submits runs to SLURM."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mimbench.core.extras import how_to_install
from mimbench.experiments.launch.pool import drop_rank_variables
from mimbench.experiments.launch.slurm_jobs import Submission, write_submission
from mimbench.experiments.launch.slurm_task import SlurmTask

_LONGEST_ARRAY = 1000  # SLURM's MaxArraySize is 1001 by default


class SubmissionError(Exception):
    """SLURM rejected a job; the message is that of `sbatch`."""


def submit(
    tasks: Mapping[Path, SlurmTask],
    folder: Path,
    parameters: Mapping[str, Any],
    launcher: Mapping[str, Any],
    parallel: int | None = None,
) -> list[Submission]:
    """Submits runs with equal parameters as an array and stores the job of each run in its directory.

    Args:
        tasks: Tasks by the directory of the run.
        folder: Directory for submitit's files, on a disk that the nodes can read.
        parameters: Arguments of `submitit.SlurmExecutor`, including `nodes` and `ntasks_per_node`.
        launcher: Options of the launcher, which are stored.
        parallel: Number of jobs of an array that may run at a time; all if None.

    Raises:
        SubmissionError: SLURM rejected a job, or submitit is missing; jobs submitted before are not canceled.
    """
    try:
        import submitit
    except ImportError:
        raise SubmissionError(f"submitit is not installed; {how_to_install('slurm')}") from None

    directories = list(tasks)
    submissions: list[Submission] = []
    for start in range(0, len(directories), _LONGEST_ARRAY):
        chunk = directories[start : start + _LONGEST_ARRAY]
        try:
            executor = submitit.SlurmExecutor(folder / ("%A" if len(chunk) > 1 else "%j"))
            executor.update_parameters(array_parallelism=parallel or len(chunk), **parameters)
            with _hidden_job_variables(), executor.batch():
                jobs = [executor.submit(tasks[directory]) for directory in chunk]
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            raise SubmissionError(_reason(error)) from error
        now = datetime.now(UTC).isoformat(timespec="seconds")
        count = parameters["nodes"] * parameters["ntasks_per_node"]
        for directory, job in zip(chunk, jobs, strict=True):
            submission = Submission(job.job_id, now, str(job.paths.stdout), count, dict(launcher))
            write_submission(submission, directory)
            submissions.append(submission)
    return submissions


def _reason(error: BaseException) -> str:
    lines = [line.removeprefix("sbatch: error: ") for line in str(error).strip().splitlines()]
    return " ".join(lines) or type(error).__name__


@contextmanager
def _hidden_job_variables() -> Iterator[None]:
    """Removes the variables of a surrounding job, which `sbatch` would read as options and pass on."""
    former = dict(os.environ)
    inside = "SLURM_JOB_ID" in former
    kept = {
        name: value
        for name, value in drop_rank_variables(former, keep="SLURM_").items()
        if not (inside and name.startswith("SLURM_") and name != "SLURM_CONF") and not name.startswith("SUBMITIT_")
    }
    for name in former.keys() - kept.keys():
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(former)
