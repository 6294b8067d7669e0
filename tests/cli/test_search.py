"""`mimbench run -m hydra/sweeper=optuna`: a search over what the local launcher runs."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra

from mimbench.cli import main
from mimbench.experiments.launch.local import LocalBackend
from mimbench.experiments.sweep import PreparedRun
from mimbench.runs import records
from mimbench.runs.records import Record

# Optuna 2.10, which the sweeper asks for, with today's SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:.*declarative_base")

SEARCH = ["-m", "hydra/sweeper=optuna", "objective=val/loss", "hydra.sweeper.sampler.seed=0", "sweep=search"]
LR = "optim.base_lr=tag(log,interval(1e-4,1e-1))"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Rates that were tried, by a backend that computes instead of training: 1e-2 is best, below 3e-4 all fails."""
    tried: list[float] = []

    def run(self: LocalBackend, runs: Sequence[PreparedRun]) -> dict[Path, str]:
        failed: dict[Path, str] = {}
        for run in runs:
            lr = run.config["optim"]["base_lr"]
            tried.append(lr)
            ok = lr > 3e-4
            failed |= {} if ok else {run.directory: "diverged"}
            record = Record(
                identity=run.plan.identity,
                name=run.plan.name,
                status="finished" if ok else "failed",
                axes=dict(run.plan.axes),
                started="",
                sweep="search",
                metrics={"val/loss": abs(lr - 1e-2), "knn-v1": {}, "linear-v1": {}, "layerwise-v1": {}},
            )
            run.directory.mkdir()
            records.write(record, run.directory)
        return failed

    monkeypatch.setattr(LocalBackend, "run", run)
    return tried


def test_a_search_finds_the_rate_and_survives_failed_trials(tmp_path: Path, trials: list[float]) -> None:
    assert main(["run", *SEARCH, LR, "hydra.sweeper.n_trials=16", "hydra.sweeper.max_failure_rate=1"]) == 0
    assert len(trials) == 16
    assert min(trials) < 3e-4
    results = yaml.safe_load((tmp_path / "runs" / "search" / "optimization_results.yaml").read_text())
    assert results["best_value"] == min(abs(lr - 1e-2) for lr in trials)
    assert 5e-3 < results["best_params"]["optim.base_lr"] < 2e-2
    planned = json.loads((tmp_path / "runs" / "search" / "sweep.json").read_text())["runs"]
    assert len(planned) == 16


def test_a_failed_trial_ends_a_search_that_allows_none(trials: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *SEARCH, "optim.base_lr=choice(1e-4,1e-4)", "hydra.sweeper.n_trials=1"]) == 1
    assert "diverged" in capsys.readouterr().err


def test_the_same_search_again_finds_its_runs_done(trials: list[float]) -> None:
    for _ in range(2):
        assert main(["run", *SEARCH, "optim.base_lr=interval(1e-3,1e-1)", "hydra.sweeper.n_trials=4"]) == 0
    assert len(trials) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["objective=null"], "needs objective="),
        (["objective=linear-v1.accuracy"], "not measured on the validation split"),
        (["hydra/launcher=slurm", "hydra.launcher.detach=true"], "search waits"),
    ],
)
def test_a_search_that_could_not_learn_is_refused(
    words: list[str], message: str, trials: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *SEARCH, LR, *words]) == 2
    assert message in capsys.readouterr().err
    assert not trials


@pytest.mark.parametrize("word", ["hydra/launcher=slurm", "hydra/sweeper=optuna", "hydra.launcher.slots=2"])
def test_what_only_sweeps_heed_is_refused_elsewhere(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", word]) == 2
    assert "add -m" in capsys.readouterr().err


@pytest.mark.slow
def test_a_search_runs_its_trials_as_processes(tmp_path: Path) -> None:
    tiny = ["data=digits", "encoder.width=32", "method.dim=32", "method.num_blocks=1", "method.num_heads=4"]
    tiny += ["callbacks.knn=null", "protocol=[knn]", "budget.epochs=1", "objective=knn-v1.val_accuracy"]
    assert main(["run", *SEARCH, LR, *tiny, "hydra.sweeper.n_trials=2", "hydra.sweeper.direction=maximize"]) == 0
    results = yaml.safe_load((tmp_path / "runs" / "search" / "optimization_results.yaml").read_text())
    found = [json.loads(path.read_text()) for path in (tmp_path / "runs" / "search").glob("*/record.json")]
    assert results["best_value"] == max(record["metrics"]["knn-v1"]["val_accuracy"] for record in found)
    assert len(found) == 2
