"""`mimbench run` when something happens to it: the record is true, and the same command ends the run."""

import json
import signal
from functools import partial
from pathlib import Path
from typing import Any

import processes
import pytest
import torch
from commands import command
from safetensors.torch import load_file
from signalling import INTERRUPTED, Fault

WORDS = (
    *("data=digits", "encoder.width=32", "method.dim=32", "method.num_blocks=1", "method.num_heads=4"),
    *("callbacks.knn=null", "callbacks.checkpoint_every_n_epochs=1", "protocol=[knn]", "budget.epochs=3", "sweep=s"),
)


class Command:
    """Runs of one command in one place."""

    def __init__(self, home: Path):
        self.home = home
        self.log = home.with_suffix(".log")

    def target(self, *words: str, **options: Any) -> partial[None]:
        return partial(command, [*WORDS, *words], self.home, **options)

    def run(self, *words: str, **options: Any) -> int:
        self.log.unlink(missing_ok=True)
        return processes.run(self.target(*words, **options), self.log)

    @property
    def directory(self) -> Path:
        (path,) = (self.home / "runs" / "s").glob("*/config.yaml")
        return path.parent

    @property
    def record(self) -> dict[str, Any]:
        return json.loads((self.directory / "record.json").read_text())

    @property
    def checkpoint(self) -> Path:
        return self.directory / "checkpoints" / "last.ckpt"

    def same(self, other: "Command") -> bool:
        """Whether encoders are bit-identical and all rows equal but those that depend on the clock."""
        mine, theirs = (load_file(run.directory / "encoder.safetensors") for run in (self, other))
        rows, others = ((run.directory / "metrics.csv").read_text().splitlines() for run in (self, other))
        logged = [[row for row in lines if "throughput" not in row] for lines in (rows, others)]
        return all(torch.equal(mine[name], theirs[name]) for name in mine) and logged[0] == logged[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """An undisturbed run."""
    undisturbed = Command(tmp_path_factory.mktemp("whole") / "home")
    assert undisturbed.run() == 0
    return undisturbed


@pytest.fixture
def disturbed(tmp_path: Path) -> Command:
    return Command(tmp_path / "home")


TRAINING = "mimbench.training.progress:Progress.on_train_batch_end"
MOMENTS = {
    "before training": ("mimbench.experiments.pipeline:pretrain_limits", 1),
    "in training": (TRAINING, 6),
    "before evaluation": ("mimbench.experiments.pipeline:write_state_dict", 1),
    "in evaluation": ("mimbench.evaluation.protocols.knn:knn_predict", 1),
}


CASES = [(moment, signal.SIGTERM) for moment in MOMENTS]
CASES += [("in training", signal.SIGUSR1), ("in evaluation", signal.SIGUSR2), ("in evaluation", signal.SIGINT)]


@pytest.mark.faults
@pytest.mark.parametrize(("moment", "number"), CASES)
def test_a_signal_at_any_time_is_an_interruption(
    disturbed: Command, whole: Command, moment: str, number: signal.Signals
) -> None:
    assert disturbed.run(faults=[Fault(*MOMENTS[moment], number)]) == INTERRUPTED
    assert disturbed.record["status"] == "interrupted"
    assert "the same command continues" in disturbed.log.read_text()
    assert "Traceback" not in disturbed.log.read_text()
    assert not [path for path in disturbed.directory.rglob("*") if path.suffix in (".part", ".tmp")]
    assert disturbed.run() == 0
    assert disturbed.record["status"] == "finished"
    assert disturbed.same(whole)


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_to_all_processes_spares_the_loaders(
    disturbed: Command, whole: Command, number: signal.Signals
) -> None:
    fault = Fault("mimbench.training.progress:Progress.on_train_batch_start", 6, number, group=True)
    assert disturbed.run("data.num_workers=2", faults=[fault]) == INTERRUPTED
    assert disturbed.record["status"] == "interrupted"
    assert disturbed.run("data.num_workers=2") == 0
    assert disturbed.same(whole)


@pytest.mark.faults
def test_a_full_disk_is_named_and_the_checkpoint_before_is_kept(disturbed: Command, whole: Command) -> None:
    assert disturbed.run(faults=[Fault(TRAINING, 6, signal.SIGTERM)]) == INTERRUPTED
    before = disturbed.checkpoint.read_bytes()
    assert disturbed.run(largest_file=len(before) // 2) == 1
    output = disturbed.log.read_text()
    assert "last.ckpt; the previous checkpoint is kept" in output
    assert "Free disk space" in output
    assert "Traceback" not in output
    assert disturbed.record["status"] == "failed"
    assert disturbed.record["error"]["type"] == "NotSavedError"
    assert disturbed.checkpoint.read_bytes() == before
    assert disturbed.run() == 0
    assert disturbed.same(whole)


@pytest.mark.faults
def test_a_run_moved_elsewhere_goes_on_exactly(disturbed: Command, whole: Command, tmp_path: Path) -> None:
    assert disturbed.run(faults=[Fault(TRAINING, 6, signal.SIGTERM)]) == INTERRUPTED
    (tmp_path / "home").rename(tmp_path / "other place")
    moved = Command(tmp_path / "other place")
    assert moved.run() == 0
    assert moved.log.read_text().count("step 1/") == 0
    assert moved.same(whole)


@pytest.mark.faults
def test_of_two_at_once_one_wins_and_the_other_tells_who(disturbed: Command, whole: Command) -> None:
    logs = [disturbed.home.with_suffix(f".{i}.log") for i in range(2)]
    with processes.started(disturbed.target(), logs[0]) as a, processes.started(disturbed.target(), logs[1]) as b:
        statuses = [processes.ended(process, log) for process, log in zip((a, b), logs, strict=True)]
        pids = (a.pid, b.pid)
    assert sorted(statuses) == [0, 2]
    loser = statuses.index(2)
    assert f"Another process (process {pids[1 - loser]} on" in logs[loser].read_text()
    assert disturbed.same(whole)


@pytest.mark.faults
def test_the_lock_of_a_killed_run_is_taken_over_at_once(disturbed: Command, whole: Command) -> None:
    """Also while loader processes that it has left behind still live."""
    words = ["data.num_workers=2"]
    assert disturbed.run(*words, faults=[Fault(TRAINING, 6, signal.SIGKILL)]) == -signal.SIGKILL
    assert disturbed.record["status"] == "running"
    assert disturbed.run(*words) == 0
    assert disturbed.same(whole)


@pytest.mark.faults
def test_an_interrupted_run_goes_on_under_the_same_name_at_wandb(disturbed: Command) -> None:
    assert disturbed.run("logger=[wandb]", faults=[Fault(TRAINING, 6, signal.SIGTERM)]) == INTERRUPTED
    assert disturbed.run("logger=[wandb]") == 0
    parts = list((disturbed.directory / "wandb").glob("offline-run-*"))
    assert 1 <= len(parts) <= 2  # two within a second share a directory
    assert {path.name.split("-")[3] for path in parts} == {disturbed.record["identity"]}
