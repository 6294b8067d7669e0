"""Pre-training is done once, whatever protocols are asked for later."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from mimbench.cli import main

RUNS_0_1_0 = Path(__file__).parents[1] / "runs_0.1.0" / "demo"
TINY = [
    "data=digits", "method=mae", "encoder.width=32", "encoder.depth=2", "method.dim=32", "method.num_blocks=1",
    "method.num_heads=4", "callbacks.knn=null", "budget.epochs=1", "sweep=s",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    GlobalHydra.instance().clear()


def call(*words: str) -> int:
    GlobalHydra.instance().clear()
    return main(words)


def record_of(sweep: str) -> dict[str, object]:
    [path] = Path("runs", sweep).glob("*/record.json")
    return json.loads(path.read_text())


def test_more_protocols_evaluate_a_finished_run_without_training(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("run", *TINY, "protocol=[knn]") == 0
    first = record_of("s")
    from mimbench.experiments import pipeline

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(pipeline, "pretrain", refuse)
    assert call("plan", *TINY, "protocol=[knn,layerwise]", "--json", "plan.json") == 0
    [planned] = json.loads(Path("plan.json").read_text())["runs"]
    assert (planned["identity"], planned["state"]) == (first["identity"], "finished")
    assert planned["reason"] == "to be evaluated: layerwise-v1"
    assert planned["gpu_hours_left"] == 0
    assert call("run", *TINY, "protocol=[knn,layerwise]") == 0
    second = record_of("s")
    assert second["metrics"].keys() - first["metrics"].keys() == {"layerwise-v1"}
    assert second["metrics"]["knn-v1"] == first["metrics"]["knn-v1"]
    assert second["identity"] == first["identity"]
    capfd.readouterr()
    assert call("run", *TINY, "protocol=[layerwise]") == 0
    assert "nothing to do" in capfd.readouterr().out


def test_a_sweep_does_the_same_and_reports_one_row(capfd: pytest.CaptureFixture[str]) -> None:
    assert call("run", *TINY, "method=untrained", "protocol=[knn]") == 0
    assert call("run", "-m", *TINY, "method=untrained", "seed=0,1", "protocol=[knn,layerwise]") == 0
    records = [json.loads(path.read_text()) for path in Path("runs/s").glob("*/record.json")]
    assert sorted(record["axes"]["seed"] for record in records) == [0, 1]
    assert all({"knn-v1", "layerwise-v1"} <= record["metrics"].keys() for record in records)
    capfd.readouterr()
    assert call("report", "runs/s", "--no-figures") == 0
    [row] = (Path("runs/s/report") / "table.csv").read_text().splitlines()[1:]
    assert ",untrained," in row
    assert "protocol" not in row


def test_a_protocol_with_other_parameters_is_another_result() -> None:
    assert call("run", *TINY, "method=untrained", "protocol=[knn]") == 0
    assert call("run", *TINY, "method=untrained", "protocol=[knn]", "protocol.knn.ks=[3]") == 0
    assert {"knn-v1", "knn-v1+ks=3"} <= record_of("s")["metrics"].keys()


def test_runs_of_0_1_0_are_evaluated_further(tmp_path: Path) -> None:
    shutil.copytree(RUNS_0_1_0, tmp_path / "runs" / "demo")
    [run] = Path("runs/demo").glob("untrained*")
    overrides = json.loads((run / "record.json").read_text())["overrides"]
    words = ["plan", "experiment=demo", *overrides, "protocol=[knn,fewshot]", "--json", "plan.json"]
    assert call(*words) == 0
    [planned] = json.loads(Path("plan.json").read_text())["runs"]
    assert (planned["name"], planned["reason"]) == (run.name, "to be evaluated: fewshot-v1")


def test_another_sweep_has_runs_of_its_own() -> None:
    assert call("run", *TINY, "method=untrained", "protocol=[knn]") == 0
    assert call("run", *TINY, "method=untrained", "protocol=[knn]", "sweep=t") == 0
    assert record_of("t")["sweep"] == "t"
