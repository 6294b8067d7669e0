"""A stranger's sweep brings no shell lines and no options of Hydra along."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra

from mimbench.cli import main
from mimbench.experiments.launch import slurm
from mimbench.experiments.launch.slurm_jobs import Submission, write_submission
from mimbench.experiments.retry import SHELL_OPTIONS
from mimbench.runs import records
from mimbench.runs.directory import SLURM_JOB

RUN = ["run", "-m", "sweep=s", "method=untrained", "data=digits", "protocol=[knn]"]


@pytest.fixture
def failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A sweep of one run that failed on a cluster; nothing of it is ever submitted."""
    from mimbench.experiments.launch.local import LocalBackend

    def fail(_: Any, runs: Any) -> dict[Path, str]:
        for run in runs:
            facts = {"axes": dict(run.plan.axes), "overrides": list(run.plan.overrides), "started": "2024-01-01"}
            record = records.Record(identity=run.plan.identity, name=run.plan.name, status="failed", **facts)
            records.write(record, run.directory)
        return {run.directory: "failed" for run in runs}

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(LocalBackend, "run", fail)
    assert main(RUN) == 1
    [directory] = Path("runs/s").glob("untrained*")
    yield directory
    GlobalHydra.instance().clear()


def submitted(directory: Path, **options: Any) -> None:
    write_submission(Submission("7", "2024-01-01", "out.txt", 1, options), directory)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Options that reach the launcher."""
    chosen: list[dict[str, Any]] = []

    def note(options: dict[str, Any], *_: Any) -> Any:
        from mimbench.experiments.launch.local import LocalBackend

        chosen.append(options)
        return LocalBackend()

    monkeypatch.setattr(slurm.SlurmBackend, "from_options", note)
    return chosen


@pytest.mark.parametrize(
    "options", [{"setup": ["touch marker"]}, {"sbatch": {"wrap": "touch marker"}}], ids=SHELL_OPTIONS
)
def test_stored_shell_lines_are_shown_and_not_used(
    options: dict[str, Any], failed: Path, given: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    submitted(failed, **options)
    capsys.readouterr()
    assert main(["retry", "runs/s"]) == 2
    error = capsys.readouterr().err.strip()
    assert "touch marker" in error
    assert "--use-stored-setup" in error
    assert error.count("\n") == 0
    assert given == []


def test_own_setup_replaces_the_stored_one(failed: Path, given: list[dict[str, Any]]) -> None:
    submitted(failed, setup=["touch marker"], partition="gpu")
    assert main(["retry", "runs/s", "hydra.launcher.setup=[module load cuda]"]) == 1
    assert (given[0]["setup"], given[0]["partition"]) == (["module load cuda"], "gpu")


@pytest.mark.parametrize(
    "word",
    [
        "hydra.launcher.setup=[touch marker]",
        "+hydra.launcher.setup=[touch marker]",
        "++hydra.searchpath=[file:///tmp]",
        "hydra/launcher=slurm",
        "hydra.run.dir=/tmp/elsewhere",
        "--config-dir=elsewhere",
        "-cd=elsewhere",
    ],
)
def test_stored_overrides_set_no_option_of_hydra(
    word: str, failed: Path, given: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (Path("runs/s/sweep.json"), failed / "record.json"):
        text = path.read_text().replace('"method=untrained"', f'"method=untrained", {json.dumps(word)}')
        path.write_text(text)
    capsys.readouterr()
    assert main(["retry", "runs/s"]) == 2
    error = capsys.readouterr().err.strip()
    assert word in error
    assert error.count("\n") == 0
    assert given == []


SECRETS = ["export WANDB_API_KEY=abc123", 'HF_TOKEN="abc123 x" python -V', "export my_password='abc123'"]


@pytest.mark.parametrize("line", SECRETS)
def test_secrets_are_not_stored_and_must_be_given_again(
    line: str, failed: Path, given: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    submitted(failed, setup=["module load cuda", line], partition="gpu")
    assert "abc123" not in (failed / SLURM_JOB).read_text()
    assert "module load cuda" in (failed / SLURM_JOB).read_text()
    capsys.readouterr()
    assert main(["retry", "runs/s", "--use-stored-setup"]) == 2
    error = capsys.readouterr().err.strip()
    assert "hydra.launcher.setup contained a secret" in error
    assert error.count("\n") == 0
    assert given == []
    assert main(["retry", "runs/s", "hydra.launcher.setup=[module load cuda]"]) == 1
    assert (given[0]["setup"], given[0]["partition"]) == (["module load cuda"], "gpu")
