"""Jobs of SLURM: which run they belong to, and how they are."""

import getpass
import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FILE = "slurm.json"  # in a run's directory
_LIVE = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "STAGE_OUT", "SIGNALING"}
_LIVE |= {"RESIZING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
_PATIENCE = 60.0  # seconds that SLURM may take for an answer


@dataclass(frozen=True)
class Submission:
    """The job that a run was last given to.

    Attributes:
        job: What `squeue` and `scancel` take: "12", or "12_3" for an element of an array.
        submitted: When, in ISO 8601.
        output: What the job printed before the run had a log of its own.
        tasks: Tasks of the job, one per device.
        launcher: The options it was submitted with.
    """

    job: str
    submitted: str
    output: str
    tasks: int
    launcher: Mapping[str, Any] = field(default_factory=dict)
    schema: int = 1


def read_submission(run: Path) -> Submission | None:
    """The job of a run's directory, or None if it has never been submitted."""
    path = run / FILE
    return Submission(**json.loads(path.read_text())) if path.is_file() else None


def write_submission(submission: Submission, run: Path) -> None:
    """Notes the job in a run's directory."""
    run.mkdir(parents=True, exist_ok=True)
    part = run / f".{FILE}.part"
    part.write_text(json.dumps(asdict(submission), indent=2) + "\n")
    part.replace(run / FILE)


@dataclass(frozen=True)
class JobState:
    """How SLURM says that a job is.

    Attributes:
        name: SLURM's long form, such as PENDING, RUNNING, CANCELLED or TIMEOUT.
        reason: Why it waits; empty when it does not.
    """

    name: str
    reason: str = ""

    @property
    def live(self) -> bool:
        """Whether it runs or will."""
        return self.name in _LIVE


def job_states(jobs: Iterable[str]) -> dict[str, JobState] | None:
    """States of jobs by their number; one that SLURM no longer remembers is left out. None: SLURM does not answer."""
    wanted = set(jobs)
    queue = _ask("squeue", "--noheader", "--array", "--states=all", f"--user={getpass.getuser()}", "--format=%i|%T|%r")
    if queue is None:
        return None
    rows = [line.split("|", 2) for line in queue.splitlines() if line.count("|") >= 2]
    states = {row[0]: JobState(row[1], "" if row[2] == "None" else row[2]) for row in rows if row[0] in wanted}
    forgotten = wanted - states.keys()
    arrays = ",".join(sorted({job.partition("_")[0] for job in forgotten}))
    # Not every cluster keeps accounts; where none are, a forgotten job stays unknown.
    accounts = _ask("sacct", "--noheader", "--parsable2", "-X", "-o", "JobID,State", "-j", arrays) if arrays else None
    for line in (accounts or "").splitlines():
        job, _, state = line.partition("|")
        if job in forgotten and state:
            states[job] = JobState(state.split()[0])  # "CANCELLED by 1000"
    return states


def _ask(*command: str) -> str | None:
    """Output of one of SLURM's commands, or None when it fails."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout
