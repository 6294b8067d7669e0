"""SLURM jobs: the file that assigns a job to a run, and states of jobs."""

import getpass
import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mimbench.core.files import write_atomic
from mimbench.core.json_files import check_type, read_json
from mimbench.runs.directory import SLURM_JOB

_LIVE = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "STAGE_OUT", "SIGNALING"}
_LIVE |= {"RESIZING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
_TIMEOUT = 60.0  # seconds until a command of SLURM must have answered
HIDDEN = "<hidden>"  # stands in files for what may be a secret
# An assignment of a secret, as in `export WANDB_API_KEY=...`; the first group is kept.
_SECRET = re.compile(r"""(\b\w*(?:TOKEN|KEY|PASSW|SECRET|CREDENTIAL)\w*=)("[^"]*"|'[^']*'|[^\s;&|]+)""", re.IGNORECASE)


@dataclass(frozen=True)
class Submission:
    """The last job of a run.

    Attributes:
        job: Number for `squeue` and `scancel`: "12", or "12_3" for an element of an array.
        submitted: ISO 8601 time.
        output: File with the output of the job outside of the run's log.
        tasks: Number of tasks of the job, one per device.
        launcher: Options of the launcher.
    """

    job: str
    submitted: str
    output: str
    tasks: int
    launcher: Mapping[str, Any] = field(default_factory=dict)
    schema: int = 1


_FIELDS = {"job": str, "submitted": str, "output": str, "tasks": int, "launcher": dict, "schema": int}
_REQUIRED = ("job", "submitted", "output", "tasks")
_JOB = re.compile(r"\d+(_\d+)?")


def read_submission(run: Path) -> Submission | None:
    """The last job of a run; None if it was never submitted.

    Raises:
        ValueError: The file is not valid; the message names it.
        OSError: The file cannot be read.
    """
    path = run / SLURM_JOB
    if not path.is_file():
        return None
    values = read_json(path)
    if unknown := values.keys() - _FIELDS.keys():
        raise ValueError(f"{path} has unknown fields {', '.join(sorted(unknown))}; expected {', '.join(_FIELDS)}.")
    for key, kind in _FIELDS.items():
        if key in values or key in _REQUIRED:
            check_type(f"{path}: {key}", values.get(key), kind)
    if not _JOB.fullmatch(values["job"]):
        raise ValueError(f"{path}: job is {values['job']!r}; expected a number such as 12 or 12_3.")
    return Submission(**values)


def write_submission(submission: Submission, run: Path) -> None:
    """Stores the job in a run's directory, without secrets in shell lines: a run's directory may be shared."""
    values = asdict(submission)
    values["launcher"] = _redact(values["launcher"])
    write_atomic(run / SLURM_JOB, json.dumps(values, indent=2) + "\n")


def _redact(value: Any) -> Any:
    """Replaces the values of assignments to names such as WANDB_API_KEY in all strings."""
    if isinstance(value, str):
        return _SECRET.sub(rf"\g<1>{HIDDEN}", value)
    if isinstance(value, dict):
        return {key: _redact(item) for key, item in value.items()}
    return [_redact(item) for item in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class JobState:
    """State of a job according to SLURM.

    Attributes:
        name: SLURM's long form, such as PENDING, RUNNING, CANCELLED or TIMEOUT.
        reason: Why the job waits; empty if it does not.
    """

    name: str
    reason: str = ""

    @property
    def live(self) -> bool:
        """Whether the job runs or will run."""
        return self.name in _LIVE


def job_states(jobs: Iterable[str]) -> dict[str, JobState] | None:
    """States of jobs by number, without jobs that SLURM no longer knows; None if SLURM does not answer."""
    wanted = set(jobs)
    queue = _ask("squeue", "--noheader", "--array", "--states=all", f"--user={getpass.getuser()}", "--format=%i|%T|%r")
    if queue is None:
        return None
    rows = [line.split("|", 2) for line in queue.splitlines() if line.count("|") >= 2]
    states = {row[0]: JobState(row[1], "" if row[2] == "None" else row[2]) for row in rows if row[0] in wanted}
    forgotten = wanted - states.keys()
    arrays = ",".join(sorted({job.partition("_")[0] for job in forgotten}))
    # On clusters without accounting, a forgotten job stays unknown.
    accounts = _ask("sacct", "--noheader", "--parsable2", "-X", "-o", "JobID,State", "-j", arrays) if arrays else None
    for line in (accounts or "").splitlines():
        job, _, state = line.partition("|")
        if job in forgotten and state:
            states[job] = JobState(state.split()[0])  # "CANCELLED by 1000"
    return states


def _ask(*command: str) -> str | None:
    """Output of a SLURM command; None if it fails."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout
