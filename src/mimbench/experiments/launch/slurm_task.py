"""A task of a SLURM job: runs a command and requeues the job at its time limit."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from mimbench.experiments.launch.pool import drop_rank_variables


@dataclass
class SlurmTask:
    """Runs a command as one rank of a job; submitit calls it in the job.

    SLURM announces a time limit or a preemption to all processes of the job with SIGUSR2. The command then saves and
    stops; if it has not finished, the first task requeues the job, which continues from the checkpoint.

    Attributes:
        command: The command, equal on all ranks.
        log: File for the output; rank 1 writes to `log.rank1.txt` and so on.
        max_requeues: Number of requeues, for any reason, after which the job is not requeued again.
    """

    command: list[str]
    log: Path
    max_requeues: int

    def __post_init__(self) -> None:
        self._stop_requested = False

    def __call__(self) -> None:
        """Runs the command and exits with its status."""
        # Handlers, since the command would inherit ignored signals.
        signal.signal(signal.SIGUSR2, self._request_stop)
        signal.signal(signal.SIGTERM, _do_nothing)
        rank = int(os.environ.get("SLURM_PROCID", "0"))
        status = self._run(rank)
        if self._stop_requested and status not in (0, 2):  # 2 is a user error, which would occur again
            if rank:
                return  # with status 0; otherwise SLURM would end the task that requeues
            status = 0 if self._requeue() else 1
        if status:
            sys.exit(status)

    def _run(self, rank: int) -> int:
        log = self.log.with_name(f"{self.log.stem}.rank{rank}{self.log.suffix}") if rank else self.log
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = drop_rank_variables(os.environ, keep="SLURM_")
        environment.setdefault("OMP_NUM_THREADS", environment.get("SLURM_CPUS_PER_TASK", "1"))
        with log.open("ab") as file:
            process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=environment
            )
            code = process.wait()
        return 128 - code if code < 0 else code

    def _requeue(self) -> bool:
        job, count = job_number(), int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        if count >= self.max_requeues:
            return self._log(f"Not continued: the job has been requeued {count} times (max_requeues).", False)
        answer = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
        if answer.returncode:
            return self._log(f"SLURM did not requeue job {job}: {answer.stderr.strip()}", False)
        return self._log(f"Stopped by SLURM; job {job} is requeued and will continue from here.", True)

    def _log(self, message: str, success: bool) -> bool:
        with self.log.open("a") as file:
            file.write(message + "\n")
        return success

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_requested = True


def job_number() -> str:
    """Number of the job of this process; for an array with the element, since the first number stands for all."""
    array, job = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ["SLURM_JOB_ID"]
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else job


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Keeps this process waiting for the command, which received the signal too."""
