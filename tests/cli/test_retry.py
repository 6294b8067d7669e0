"""`mimbench retry`, and sweeps that grow."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra

from mimbench.cli import main
from mimbench.experiments.launch import local
from mimbench.experiments.launch.slurm_jobs import Submission, write_submission
from mimbench.experiments.retry import format_override_value
from mimbench.experiments.sweep import PreparedRun
from mimbench.runs import records
from mimbench.runs.records import Record

WORDS = ["-m", "sweep=s", "method=mae", "data=digits", "budget.epochs=1"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    GlobalHydra.instance().clear()


class Backend:
    """Instead of training, notes what it is given and lets every run end as it is told."""

    def __init__(self) -> None:
        self.given: list[list[str]] = []
        self.ends: dict[int, str] = {}  # by seed; others finish
        self.slots: list[int | None] = []

    def run(self, launcher: Any, runs: Sequence[PreparedRun]) -> dict[Path, str]:
        self.slots.append(launcher.slots)
        self.given.append([run.directory.name for run in runs])
        failed = {}
        for run in runs:
            status = self.ends.get(run.plan.axes["seed"], "finished")
            if status != "planned":
                facts = {"axes": dict(run.plan.axes), "overrides": list(run.plan.overrides), "started": "2024-01-01"}
                facts["metrics"] = {name: {} for name in ("knn-v1", "linear-v1", "layerwise-v1")}
                record = Record(identity=run.plan.identity, name=run.plan.name, status=status, **facts)
                records.write(record, run.directory)
            if status != "finished":
                failed[run.directory] = status
        return failed


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    fake = Backend()
    monkeypatch.setattr(local.LocalBackend, "run", lambda launcher, runs: fake.run(launcher, runs))
    return fake


def run(*words: str) -> int:
    GlobalHydra.instance().clear()
    return main(["run", *WORDS, *words])


def seeds(names: Sequence[str]) -> list[int]:
    return [int(name.split("-s")[-1].split("-")[0]) for name in names]


def test_only_failed_and_lost_runs_are_tried_again(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    backend.ends = {1: "failed", 2: "running", 3: "interrupted", 4: "planned"}
    assert run("seed=0,1,2,3,4") == 1
    backend.ends = {}
    assert main(["retry", "runs/s", "--dry-run"]) == 0
    assert len(backend.given) == 1
    assert main(["retry", "runs/s"]) == 0
    assert seeds(backend.given[1]) == [1, 2]
    assert main(["status", "runs/s"]) == 0
    assert "`mimbench retry --all runs/s` continues interrupted runs" in capsys.readouterr().out
    assert main(["retry", "runs/s"]) == 0
    offered = capsys.readouterr().out
    assert "`mimbench retry --all runs/s` also runs those that are not finished: 1 interrupted and 1 planned" in offered
    assert main(["retry", "runs/s", "--all"]) == 0
    assert seeds(backend.given[2]) == [3, 4]
    capsys.readouterr()
    assert main(["retry", "runs/s", "--all"]) == 0
    assert "nothing to do" in capsys.readouterr().out
    states = {
        run["axes"]["seed"]: run["status"] for path in Path().glob("runs/s/*/record.json") for run in [load(path)]
    }
    assert states == dict.fromkeys(range(5), "finished")


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def test_a_run_that_fails_again_is_exit_status_1(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    backend.ends = {0: "failed"}
    assert run("seed=0,1") == 1
    assert main(["retry", "runs/s"]) == 1
    assert "1 of 1 runs failed" in capsys.readouterr().err


def test_a_sweep_is_repaired_where_it_lies_from_anywhere(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.ends = {1: "failed"}
    assert run("seed=0,1") == 1
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    (tmp_path / "runs" / "s").rename(elsewhere / "it's moved")
    monkeypatch.chdir(elsewhere)
    backend.ends = {}
    assert main(["retry", str(elsewhere / "it's moved")]) == 0
    assert seeds(backend.given[-1]) == [1]
    assert len(list((elsewhere / "it's moved").glob("*/record.json"))) == 2
    assert not (elsewhere / "runs").exists()


def test_the_launcher_can_be_chosen_anew_and_nothing_else(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    backend.ends = {0: "failed"}
    assert run() == 1
    assert main(["retry", "runs/s", "optim.base_lr=1"]) == 2
    assert "only the launcher" in capsys.readouterr().err
    backend.ends = {}
    assert main(["retry", "runs/s", "hydra/launcher=local", "hydra.launcher.slots=3"]) == 0
    assert backend.slots == [None, 3]


def test_an_experiments_launcher_options_are_kept(backend: Backend) -> None:
    backend.ends = {0: "failed"}
    assert run("experiment=demo") == 1
    assert main(["retry", "runs/s"]) == 1
    assert backend.slots == [2, 2]


def test_runs_of_a_cluster_go_back_to_it(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    from mimbench.experiments.launch import slurm

    backend.ends = {0: "failed"}
    assert run() == 1
    [directory] = Path("runs/s").glob("mae*")
    options = {"partition": "gpu", "setup": ["module load 'cuda'"], "sbatch": {"exclude": "node[1-3]"}, "detach": True}
    write_submission(Submission("7", "2024-01-01", "out.txt", 1, options), directory)
    chosen: list[dict[str, Any]] = []
    monkeypatch.setattr(
        slurm.SlurmBackend, "from_options", lambda given, *_: chosen.append(given) or local.LocalBackend()
    )
    assert main(["retry", "runs/s", "--use-stored-setup", "hydra.launcher.partition=big"]) == 1
    assert {key: chosen[0][key] for key in options} == options | {"partition": "big"}


def test_a_run_whose_words_mean_something_else_now_is_refused(
    backend: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    backend.ends = {0: "failed"}
    assert run() == 1
    path = Path("runs/s/sweep.json")
    path.write_text(path.read_text().replace("budget.epochs=1", "budget.epochs=2"))
    assert main(["retry", "runs/s"]) == 2
    assert "configuration has changed" in capsys.readouterr().err


def test_several_sweeps_and_none_are_refused(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    run()
    run("sweep=t")
    assert main(["retry", "runs"]) == 2
    assert "choose one" in capsys.readouterr().err
    assert main(["retry", "nowhere"]) == 2


def test_seeds_and_depths_that_are_added_run_alone(backend: Backend) -> None:
    assert run("seed=0") == 0
    assert run("seed=0,1") == 0
    assert run("seed=0,1", "encoder.depth=4,6") == 0
    assert [seeds(names) for names in backend.given] == [[0], [1], [0, 1]]
    assert all("-d6-" in name for name in backend.given[2])
    manifest = load(Path("runs/s/sweep.json"))
    assert len(manifest["runs"]) == 4
    assert (manifest["axes"]["seed"], manifest["axes"]["depth"]) == ([0, 1], [4, 6])
    assert run("seed=1") == 0
    assert len(backend.given) == 3


@pytest.mark.parametrize(
    ("value", "word"),
    [(None, "null"), (True, "true"), (3, "3"), ("a 'b'", r"'a \'b\''"), (["x", 1], "['x',1]"), ({"k": "v"}, "{k:'v'}")],
)
def test_values_are_written_in_hydras_grammar(value: Any, word: str) -> None:
    assert format_override_value(value) == word
