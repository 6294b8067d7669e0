"""Runs of a sweep as SLURM jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import groupby
from pathlib import Path
from typing import Any

from mimbench.cli.local import command
from mimbench.cli.mistakes import Mistake, nearest
from mimbench.cli.slurm_watch import watch
from mimbench.cli.sweep import Cell
from mimbench.sweeps.slurm import Submission, job_states, read_submission
from mimbench.sweeps.slurm_submit import SubmissionError, submit
from mimbench.sweeps.slurm_task import SlurmTask


@dataclass(frozen=True)
class SlurmBackend:
    """Submits runs; unless `detach`, waits for them and tells how they are. See `conf/hydra/launcher/slurm.yaml`."""

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
        """Raises Mistake for an option that does not exist."""
        known = [each.name for each in fields(cls)]
        if unknown := [name for name in options if name not in known]:
            raise Mistake(f"hydra.launcher has no option '{unknown[0]}'.{nearest(unknown[0], known)}")
        return cls(**options)

    def check(self, cells: Sequence[Cell], trials: bool) -> None:
        """Counts of nodes, tasks and devices must be those of the training.

        Raises:
            Mistake: They are not, or there is no SLURM.
        """
        if trials and self.detach:
            raise Mistake("A search waits for the results of its trials; leave out hydra.launcher.detach=true.")
        for cell in cells:
            self._parameters(cell)
        if job_states([]) is None:
            raise Mistake("SLURM does not answer (squeue); run on a login node, or with hydra/launcher=local.")

    def run(self, cells: Sequence[Cell]) -> dict[Path, str]:
        """Submits what is not in the queue already.

        Raises:
            Mistake: SLURM refused a job.
        """
        jobs = self._queued(cells)
        for directory, submission in jobs.items():
            print(f"{directory.name} is job {submission.job} already.")
        new = [cell for cell in cells if cell.directory not in jobs]
        try:
            for _, group in groupby(sorted(new, key=self._size), self._size):
                jobs |= self._submit(list(group))
        except SubmissionError as error:
            raise Mistake(f"SLURM refused the job: {error}") from error
        numbers = " ".join(dict.fromkeys(submission.job.partition("_")[0] for submission in jobs.values()))
        sweep = cells[0].directory.parent
        told = f"`mimbench status {sweep}` shows them, `scancel {numbers}` cancels them."
        print(f"{len(new)} run{'s' * (len(new) != 1)} submitted; {told}", flush=True)
        if self.detach:
            return {}
        try:
            return watch(jobs)
        except KeyboardInterrupt:
            print(f"\nThe jobs go on without this command; {told} The same command watches them again.", flush=True)
            raise

    def _queued(self, cells: Sequence[Cell]) -> dict[Path, Submission]:
        made = {cell.directory: read_submission(cell.directory) for cell in cells}
        known = {directory: submission for directory, submission in made.items() if submission is not None}
        states = job_states(submission.job for submission in known.values())
        if states is None:
            raise Mistake("SLURM does not answer (squeue), so nobody knows which runs wait already; try again.")
        return {d: s for d, s in known.items() if (state := states.get(s.job)) is not None and state.live}

    def _submit(self, cells: Sequence[Cell]) -> dict[Path, Submission]:
        tasks = {
            cell.directory: SlurmTask(command(cell), (cell.directory / "log.txt").absolute(), self.max_requeues)
            for cell in cells
        }
        folder = cells[0].directory.parent.absolute() / ".slurm"
        made = submit(tasks, folder, self._parameters(cells[0]), asdict(self), self.parallel)
        return dict(zip(tasks, made, strict=True))

    def _size(self, cell: Cell) -> str:
        """Jobs of one array are alike."""
        return repr(sorted(self._parameters(cell).items(), key=lambda item: item[0]))

    def _parameters(self, cell: Cell) -> dict[str, Any]:
        """What submitit's executor is told."""
        trainer = cell.config["trainer"]
        devices, nodes = trainer["devices"], trainer["num_nodes"]
        if type(devices) is not int or devices < 1:
            raise Mistake(f"On SLURM trainer.devices is a number of devices per node; got {devices!r}.")
        _same("tasks_per_node", self.tasks_per_node, "devices", devices, "One task is one device")
        _same("nodes", self.nodes, "num_nodes", nodes, "A training uses all nodes of its job")
        gpus = (0 if trainer["accelerator"] == "cpu" else devices) if self.gpus_per_node is None else self.gpus_per_node
        if trainer["accelerator"] != "cpu":
            _same("gpus_per_node", gpus, "devices", devices, "Every device is a GPU")
        cpus = self.cpus_per_task or cell.config["data"]["num_workers"] + 1
        chosen = {key: getattr(self, key) for key in ("partition", "account", "qos", "constraint", "time", "mem")}
        return {
            "job_name": f"mimbench-{cell.directory.parent.name}",
            **chosen,
            "nodes": nodes,
            "ntasks_per_node": devices,
            "gpus_per_node": gpus or None,
            "cpus_per_task": cpus,
            "signal_delay_s": self.stop_seconds,
            "setup": list(self.setup) or None,
            "stderr_to_stdout": True,
            "wckey": None,
            # srun does not know the batch script's cpus-per-task any more (SLURM 22.05).
            "srun_args": [f"--cpus-per-task={cpus}", "--kill-on-bad-exit=1"],
            "additional_parameters": {"requeue": True, **self.sbatch},
        }


def _same(option: str, given: int | None, key: str, value: int, why: str) -> None:
    if given is not None and given != value:
        raise Mistake(
            f"hydra.launcher.{option}={given}, but trainer.{key}={value}. {why}: "
            f"set trainer.{key}={given}, or leave out hydra.launcher.{option}."
        )
