"""What one task of a SLURM job does: it runs a command and has the job continued when time is up."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from mimbench.sweeps.pool import without_ranks


@dataclass
class SlurmTask:
    """Runs a command as one rank of a job; called in the job, by submitit.

    SLURM announces a time limit or a preemption to all processes of the job with SIGUSR2. The command then saves and
    stops; if it has not finished, the first task puts the job back into the queue, to go on from what was saved.

    Attributes:
        command: What to run; the same on every rank.
        log: Where its output goes; rank 1 writes to `log.rank1.txt` and so on.
        max_requeues: How often the job may have been put back, for whatever reason.
    """

    command: list[str]
    log: Path
    max_requeues: int

    def __post_init__(self) -> None:
        self._told = False

    def __call__(self) -> None:
        """Ends the process with the command's exit status."""
        # Functions, since a signal that is ignored would be ignored by the command too.
        signal.signal(signal.SIGUSR2, self._remember)
        signal.signal(signal.SIGTERM, _outlive)
        rank = int(os.environ.get("SLURM_PROCID", "0"))
        status = self._run(rank)
        if self._told and status not in (0, 2):  # 2 is a mistake in the call, which no continuation mends
            if rank:
                return  # with success, or SLURM would end the task that requeues
            status = 0 if self._requeue() else 1
        if status:
            sys.exit(status)

    def _run(self, rank: int) -> int:
        log = self.log.with_name(f"{self.log.stem}.rank{rank}{self.log.suffix}") if rank else self.log
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = without_ranks(os.environ, keep="SLURM_")
        environment.setdefault("OMP_NUM_THREADS", environment.get("SLURM_CPUS_PER_TASK", "1"))
        with log.open("ab") as file:
            process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=environment
            )
            code = process.wait()
        return 128 - code if code < 0 else code

    def _requeue(self) -> bool:
        job, before = job_number(), int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        if before >= self.max_requeues:
            return self._note(f"Not continued: the job has been requeued {before} times (max_requeues).", False)
        answer = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
        if answer.returncode:
            return self._note(f"SLURM did not requeue job {job}: {answer.stderr.strip()}", False)
        return self._note(f"Told to stop by SLURM; job {job} is requeued and will go on from here.", True)

    def _note(self, message: str, success: bool) -> bool:
        with self.log.open("a") as file:
            file.write(message + "\n")
        return success

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._told = True


def job_number() -> str:
    """The job that this process belongs to; of an array the element, since its first number would mean all."""
    array, job = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ["SLURM_JOB_ID"]
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else job


def _outlive(number: int, frame: FrameType | None) -> None:
    """The command got the signal as well, and is waited for."""
