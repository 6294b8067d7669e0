"""Gives runs to SLURM."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mimbench.sweeps.pool import without_ranks
from mimbench.sweeps.slurm import Submission, write_submission
from mimbench.sweeps.slurm_task import SlurmTask

_LONGEST_ARRAY = 1000  # SLURM's MaxArraySize is 1001 by default


class SubmissionError(Exception):
    """SLURM did not take a job; the message is its own."""


def submit(
    tasks: Mapping[Path, SlurmTask],
    folder: Path,
    parameters: Mapping[str, Any],
    launcher: Mapping[str, Any],
    parallel: int | None = None,
) -> list[Submission]:
    """Submits runs of one shape as an array and notes in each run's directory which job it has become.

    Args:
        tasks: What to do, by the run's directory.
        folder: Where submitit keeps its files; on a disk that the nodes see.
        parameters: What `submitit.SlurmExecutor` is told; `nodes` and `ntasks_per_node` among it.
        launcher: The options of the launcher, for the record.
        parallel: Jobs of an array at a time; all of them if None.

    Raises:
        SubmissionError: SLURM refused; what it took before goes on.
    """
    import submitit

    directories = list(tasks)
    made: list[Submission] = []
    for start in range(0, len(directories), _LONGEST_ARRAY):
        chunk = directories[start : start + _LONGEST_ARRAY]
        try:
            executor = submitit.SlurmExecutor(folder / ("%A" if len(chunk) > 1 else "%j"))
            executor.update_parameters(array_parallelism=parallel or len(chunk), **parameters)
            with _outside_of_jobs(), executor.batch():
                jobs = [executor.submit(tasks[directory]) for directory in chunk]
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            raise SubmissionError(_reason(error)) from error
        now = datetime.now(UTC).isoformat(timespec="seconds")
        count = parameters["nodes"] * parameters["ntasks_per_node"]
        for directory, job in zip(chunk, jobs, strict=True):
            submission = Submission(job.job_id, now, str(job.paths.stdout), count, dict(launcher))
            write_submission(submission, directory)
            made.append(submission)
    return made


def _reason(error: BaseException) -> str:
    lines = [line.removeprefix("sbatch: error: ") for line in str(error).strip().splitlines()]
    return " ".join(lines) or type(error).__name__


@contextmanager
def _outside_of_jobs() -> Iterator[None]:
    """Hides a surrounding job's variables, which `sbatch` would take for options and hand on."""
    former = dict(os.environ)
    inside = "SLURM_JOB_ID" in former
    kept = {
        name: value
        for name, value in without_ranks(former, keep="SLURM_").items()
        if not (inside and name.startswith("SLURM_") and name != "SLURM_CONF") and not name.startswith("SUBMITIT_")
    }
    for name in former.keys() - kept.keys():
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(former)
