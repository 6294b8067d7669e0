"""Executes the runs of a sweep as SLURM jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import groupby
from pathlib import Path
from typing import Any

from mimbench.core.errors import UserError, nearest
from mimbench.data.workers import MOST_WORKERS
from mimbench.experiments.launch.local import build_command
from mimbench.experiments.launch.slurm_jobs import Submission, job_states, read_submission
from mimbench.experiments.launch.slurm_submit import SubmissionError, submit
from mimbench.experiments.launch.slurm_task import SlurmTask
from mimbench.experiments.launch.slurm_watch import watch
from mimbench.experiments.sweep import PreparedRun
from mimbench.runs.directory import LOG


@dataclass(frozen=True)
class SlurmBackend:
    """Submits runs and, unless `detach` is set, waits for them. `conf/hydra/launcher/slurm.yaml` lists the options."""

    detach: bool = False
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    time: str | int | None = None
    nodes: int | None = None
    tasks_per_node: int | None = None
    gpus_per_node: int | None = None
    cpus_per_task: int | None = None
    mem: str | None = None
    parallel: int | None = None
    slots: int | None = None
    max_requeues: int = 100
    stop_seconds: int = 120
    setup: Sequence[str] = ()
    sbatch: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "SlurmBackend":
        """Makes a backend from options of the launcher.

        Raises:
            UserError: An option does not exist.
        """
        known = [each.name for each in fields(cls)]
        if unknown := [name for name in options if name not in known]:
            raise UserError(f"hydra.launcher has no option '{unknown[0]}'.{nearest(unknown[0], known)}")
        return cls(**options)

    def check(self, runs: Sequence[PreparedRun], trials: bool) -> None:
        """Checks that numbers of nodes, tasks and devices are those of the training, and that SLURM answers.

        Raises:
            UserError: They are not, or it does not.
        """
        if trials and self.detach:
            raise UserError("A search waits for the results of its trials; leave out hydra.launcher.detach=true.")
        for run in runs:
            self._parameters(run)
        if job_states([]) is None:
            raise UserError("SLURM does not answer (squeue); run on a login node, or with hydra/launcher=local.")

    def run(self, runs: Sequence[PreparedRun]) -> dict[Path, str]:
        """Submits the runs that are not in the queue yet.

        Raises:
            UserError: SLURM rejected a job.
        """
        jobs = self._queued(runs)
        for directory, submission in jobs.items():
            print(f"{directory.name} is job {submission.job} already.")
        unsubmitted = [run for run in runs if run.directory not in jobs]
        try:
            for _, group in groupby(sorted(unsubmitted, key=self._array_key), self._array_key):
                jobs |= self._submit(list(group))
        except SubmissionError as error:
            raise UserError(f"SLURM rejected the job: {error}") from error
        numbers = " ".join(dict.fromkeys(submission.job.partition("_")[0] for submission in jobs.values()))
        sweep = runs[0].directory.parent
        hint = f"`mimbench status {sweep}` shows them, `scancel {numbers}` cancels them."
        print(f"{len(unsubmitted)} run{'s' * (len(unsubmitted) != 1)} submitted; {hint}", flush=True)
        if self.detach:
            return {}
        try:
            return watch(jobs)
        except KeyboardInterrupt:
            print(f"\nThe jobs go on without this command; {hint} The same command watches them again.", flush=True)
            raise

    def _queued(self, runs: Sequence[PreparedRun]) -> dict[Path, Submission]:
        stored = {run.directory: _read_submission(run.directory) for run in runs}
        known = {directory: submission for directory, submission in stored.items() if submission is not None}
        states = job_states(submission.job for submission in known.values())
        if states is None:
            raise UserError("SLURM does not answer (squeue), so it is unknown which runs are in the queue; try again.")
        return {d: s for d, s in known.items() if (state := states.get(s.job)) is not None and state.live}

    def _submit(self, runs: Sequence[PreparedRun]) -> dict[Path, Submission]:
        tasks = {
            run.directory: SlurmTask(build_command(run), (run.directory / LOG).absolute(), self.max_requeues)
            for run in runs
        }
        folder = runs[0].directory.parent.absolute() / ".slurm"
        submissions = submit(tasks, folder, self._parameters(runs[0]), asdict(self), self.parallel)
        return dict(zip(tasks, submissions, strict=True))

    def _array_key(self, run: PreparedRun) -> str:
        """A key that is equal for runs that can share an array: all jobs of an array have equal parameters."""
        return repr(sorted(self._parameters(run).items(), key=lambda item: item[0]))

    def _parameters(self, run: PreparedRun) -> dict[str, Any]:
        """Arguments of submitit's executor."""
        trainer = run.config["trainer"]
        devices, nodes = trainer["devices"], trainer["num_nodes"]
        if type(devices) is not int or devices < 1:
            raise UserError(f"trainer.devices is {devices!r}; on SLURM it must be the number of devices per node.")
        _check_equal("tasks_per_node", self.tasks_per_node, "devices", devices, "One task is one device")
        _check_equal("nodes", self.nodes, "num_nodes", nodes, "A training uses all nodes of its job")
        gpus = (0 if trainer["accelerator"] == "cpu" else devices) if self.gpus_per_node is None else self.gpus_per_node
        if trainer["accelerator"] != "cpu":
            _check_equal("gpus_per_node", gpus, "devices", devices, "Every device is a GPU")
        workers = run.config["data"]["num_workers"]  # None: as many as the job has cores for
        cpus = self.cpus_per_task or (MOST_WORKERS if workers is None else workers) + 1
        chosen = {key: getattr(self, key) for key in ("partition", "account", "qos", "constraint", "time", "mem")}
        return {
            "job_name": f"mimbench-{run.directory.parent.name}",
            **chosen,
            "nodes": nodes,
            "ntasks_per_node": devices,
            "gpus_per_node": gpus or None,
            "cpus_per_task": cpus,
            "signal_delay_s": self.stop_seconds,
            "setup": list(self.setup) or None,
            "stderr_to_stdout": True,
            "wckey": None,
            # Since SLURM 22.05, srun does not inherit cpus-per-task from the batch script.
            "srun_args": [f"--cpus-per-task={cpus}", "--kill-on-bad-exit=1"],
            "additional_parameters": {"requeue": True, **self.sbatch},
        }


def _read_submission(run: Path) -> Submission | None:
    """The job of a run; None if it has none or the file cannot be read, and the run must be submitted again."""
    try:
        return read_submission(run)
    except (OSError, ValueError):
        return None


def _check_equal(option: str, given: int | None, key: str, value: int, why: str) -> None:
    if given is not None and given != value:
        raise UserError(
            f"hydra.launcher.{option}={given}, but trainer.{key}={value}. {why}: "
            f"set trainer.{key}={given}, or leave out hydra.launcher.{option}."
        )
