"""`mimbench evaluate` on runs, checkpoints, imports, and while a run goes on."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra

from mimbench.cli import main
from mimbench.runs import records
from mimbench.runs.results import ResultStore

SMALL = [
    "data=digits",
    "encoder.width=32",
    "encoder.depth=2",
    "method.dim=32",
    "method.num_blocks=1",
    "method.num_heads=4",
    "callbacks.knn=null",
    "callbacks.reconstructions=null",
    "protocol=[knn]",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, to be copied."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        GlobalHydra.instance().clear()
        assert main(["run", *SMALL, "budget.epochs=1", "sweep=s"]) == 0
    (record,) = (home / "runs" / "s").glob("*/record.json")
    return record.parent


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    yield Path(shutil.copytree(trained, tmp_path / "runs" / "s" / trained.name)).relative_to(tmp_path)
    GlobalHydra.instance().clear()


def evaluate(*words: str | Path) -> int:
    return main(["evaluate", *map(str, words)])


def metrics(run: Path) -> dict[str, Any]:
    return json.loads((run / "record.json").read_text())["metrics"]


def result(run: Path, name: str) -> dict[str, Any]:
    return json.loads((run / "evaluation" / f"{name}.json").read_text())


def test_results_join_those_of_the_run_and_are_not_computed_twice(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = metrics(run)
    assert evaluate(run, "protocol=knn-v1,linear", "protocol.linear.epochs=1", "protocol.linear.min_steps=1") == 0
    name = "linear-v1+epochs=1+min_steps=1"
    assert "knn-v1 exists" in capsys.readouterr().out
    assert metrics(run) == before | {name: result(run, name)}
    assert result(run, name)["deviations"] == {"epochs": 1, "min_steps": 1}
    stamp = (run / "evaluation" / f"{name}.json").stat().st_mtime_ns
    assert evaluate(run, "protocol=linear", "protocol.linear.epochs=1", "protocol.linear.min_steps=1") == 0
    assert (run / "evaluation" / f"{name}.json").stat().st_mtime_ns == stamp
    assert evaluate(run, "protocol=[knn]", "--again") == 0
    assert metrics(run)["knn-v1"] == before["knn-v1"]


def test_other_data_and_cut_encoders_have_results_of_their_own(run: Path) -> None:
    words = ["protocol=knn", "data=shapes", "data.source.num_train=64", "data.source.num_val=16"]
    assert evaluate(run, *words, "data.source.num_test=16", "truncate=1", "data.num_workers=0") == 0
    assert result(run, "knn-v1@drop1@shapes")["num_test"] == 16
    assert result(run, "knn-v1@drop1@shapes")["depth"] == 1
    assert evaluate(run, "protocol=knn", "reinitialize=1", "data=digits") == 0  # its own data, by name
    assert metrics(run)["knn-v1@reinit1"]["num_test"] == metrics(run)["knn-v1"]["num_test"]
    assert evaluate(run, "protocol=knn", "data.source.seed=1") == 0
    assert [name for name in metrics(run) if name.startswith("knn-v1@digits-")]


def test_a_checkpoint_gives_a_result_of_its_step(run: Path) -> None:
    assert evaluate(run / "checkpoints" / "last.ckpt", "protocol=knn") == 0
    assert result(run, "knn-v1@step4") == result(run, "knn-v1")  # the last step's weights are the run's
    assert metrics(run)["by_step"]["knn-v1"]["4"]["accuracy"] == metrics(run)["knn-v1"]["accuracy"]
    (run / "encoder.safetensors").unlink()
    assert evaluate(run, "protocol=knn", "protocol.knn.ks=[3]") == 0
    assert result(run, "knn-v1+ks=3@step4")


def test_imported_weights_are_evaluated_on_data_that_is_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--num-heads", "4", "--image-size", "32", "--out", str(tmp_path / "mine")]
    assert main(["weights", "import", str(run / "encoder.safetensors"), *words]) == 0
    assert evaluate("mine", "protocol=knn") == 2
    assert "choose some with data=" in capsys.readouterr().err
    assert evaluate("mine", "protocol=knn", "data=digits") == 0
    assert result(tmp_path / "mine", "knn-v1@digits")["accuracy"] == metrics(run)["knn-v1"]["accuracy"]


def test_a_sweep_is_evaluated_past_what_is_broken(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = run.parent / "broken"
    shutil.copytree(run, broken)
    (broken / "encoder.safetensors").write_bytes((run / "config.yaml").read_bytes())
    (run.parent / "report").mkdir()
    words = ["protocol=knn", "protocol.knn.ks=[1]"]
    assert evaluate(*sorted(run.parent.iterdir()), *words) == 2
    told = capsys.readouterr().err
    assert "1 of 2 could not be evaluated" in told
    assert "Traceback" not in told
    assert result(run, "knn-v1+ks=1")
    shutil.rmtree(broken)
    assert evaluate(run.parent, *words) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "Give runs"),
        (["nowhere", "protocol=knn"], "There is no nowhere"),
        (["RUN", "--agian"], "no option --agian"),
        (["RUN", "protocol=knnn"], "Did you mean knn?"),
        (["RUN", "protocol=knn", "protocol.knn.kss=[1]"], "protocol.knn.ks"),
        (["RUN", "protocol=knn", "protocol.knn.ks=[0]"], "at least one k"),
        (["RUN", "protocol=knn", "data=digit"], "Did you mean digits?"),
        (["RUN", "protocol=knn", "data.sourse.seed=1"], "data.source.seed"),
        (["RUN", "protocol=knn", "truncate=2"], "expected a number from 1 to 1, got 2"),
        (["RUN", "protocol=knn", "truncate=-1"], "truncate is -1; it must be a number of last blocks"),
        (["RUN", "protocol=[]"], "protocol is empty"),
        (["RUN/config.yaml", "protocol=knn"], "expected a run, a checkpoint"),
        (["RUN", "RUN/config.yaml", "--every-checkpoint", "protocol=knn", "nowhere"], "There is no nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_status_two(
    words: list[str], told: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(*(word.replace("RUN", str(run)) for word in words)) == 2
    error = capsys.readouterr().err.strip()
    assert told in error
    assert error.count("\n") == 0


def test_a_damaged_or_strange_checkpoint_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run / "checkpoints" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:5000])
    assert evaluate(path, "protocol=knn") == 2
    assert "not a checkpoint of mimbench" in capsys.readouterr().err
    assert "by_step" not in metrics(run)


def test_the_previous_checkpoint_serves_where_the_last_one_is_damaged(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last, previous = (run / "checkpoints" / name for name in ("last.ckpt", "previous.ckpt"))
    (run / "encoder.safetensors").unlink()
    shutil.copy(last, previous)
    damaged = bytearray(last.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    last.write_bytes(damaged)
    assert evaluate(run, "protocol=knn") == 0
    assert result(run, "knn-v1@step4") == result(run, "knn-v1")
    assert last.read_bytes() == damaged  # only training moves checkpoints
    previous.unlink()
    assert evaluate(run, "protocol=knn", "protocol.knn.ks=[3]") == 2
    assert "last.ckpt is damaged" in capsys.readouterr().err


def test_results_of_a_checkpoint_survive_what_the_run_writes_meanwhile(run: Path) -> None:
    from mimbench.experiments.recorder import RunRecorder
    from mimbench.runs.manifest import PlannedRun

    record = records.read(run / "record.json")
    planned = PlannedRun(record.identity, record.name, record.axes)
    with RunRecorder(planned, run, "s") as book:
        ResultStore(run, 2, 1).add("knn-v1", {"accuracy": 0.25})
        ResultStore(run, 1, 0).add("knn-v1", {"accuracy": 0.125})
        book.record_results({"linear-v1": {"accuracy": 0.5}}, 1.0)
    found = metrics(run)
    assert list(found["by_step"]["knn-v1"]) == ["1", "2"]
    assert found["by_step"]["knn-v1"]["2"] == {"epoch": 1, "accuracy": 0.25}
    assert found["linear-v1"] == {"accuracy": 0.5}
    assert records.read(run / "record.json").status == "finished"


@pytest.mark.slow
def test_following_a_run_evaluates_its_checkpoints_and_does_not_disturb_it(run: Path, tmp_path: Path) -> None:
    words = [*SMALL, "budget.epochs=12", "callbacks.checkpoint_every_n_epochs=1", "sweep=live"]
    process = subprocess.Popen([sys.executable, "-m", "mimbench", "run", *words], cwd=tmp_path)
    try:
        directory = _first(tmp_path / "runs" / "live", process)
        assert evaluate(directory, "protocol=knn", "--every-checkpoint", "--interval", "0.05") == 0
    finally:
        process.wait(timeout=120)
    assert process.returncode == 0
    found = metrics(directory)
    assert found["by_step"]["knn-v1"]["48"]["accuracy"] == found["knn-v1"]["accuracy"]
    assert json.loads((directory / "record.json").read_text())["status"] == "finished"
    shutil.rmtree(directory)
    assert main(["run", *words]) == 0
    alone = metrics(directory)
    assert alone["val/loss"] == found["val/loss"]
    assert alone["knn-v1"] == found["knn-v1"]


def _first(sweep: Path, process: subprocess.Popen[bytes]) -> Path:
    while not (found := list(sweep.glob("*/checkpoints/last.ckpt"))):
        assert process.poll() is None
        time.sleep(0.05)
    return found[0].parent.parent


def test_a_run_that_was_killed_is_not_followed_for_ever(run: Path) -> None:
    record = json.loads((run / "record.json").read_text())
    (run / "record.json").write_text(json.dumps(record | {"status": "running", "finished": None}))
    assert evaluate(run, "protocol=knn", "--every-checkpoint", "--interval", "0.01") == 0
    assert metrics(run)["by_step"]["knn-v1"]["4"]["num_test"] == 451


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_keeps_what_was_measured_and_leaves_nothing_half_written(
    number: signal.Signals, run: Path, tmp_path: Path
) -> None:
    words = ["protocol=knn,linear,attentive", "protocol.knn.ks=[1]", "protocol.linear.epochs=1000000"]
    command = [sys.executable, "-m", "mimbench", "evaluate", str(run), *words]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=tmp_path, preexec_fn=heard, **pipes)
    assert process.stdout is not None
    next(line for line in process.stdout if "knn-v1+ks=1" in line)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "finished results are kept, the same command continues" in error
    assert "Traceback" not in error
    names = {path.name for path in (run / "evaluation").iterdir() if path.suffix == ".json"}
    assert names == {"knn-v1.json", "knn-v1+ks=1.json"}
    assert "knn-v1+ks=1" in metrics(run)
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".part", ".tmp")]
