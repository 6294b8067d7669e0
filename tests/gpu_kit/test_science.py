"""The stage of science composes, and finished runs that come from another machine are not run again."""

import json
from pathlib import Path

import pytest

from benchmarks.gpu import science
from benchmarks.gpu.checks import Setting
from mimbench.experiments.composition.compose import composer
from mimbench.experiments.plugins import enabled
from mimbench.runs.directory import RECORD

PROBE = ["~budget.epochs", "budget=steps", "budget.steps=200", "protocol=[]"]


@pytest.mark.parametrize(
    ("words", "number"),
    [([*science.SWEEP, "seed=0"], 15), (["+ablation=claims_by_depth", "method=mae", "seed=1,2", *PROBE], 2)],
)
def test_its_sweeps_compose(words: list[str], number: int) -> None:
    with enabled([str(science.CONF)]), composer([*words, "hydra.launcher.slots_per_gpu=4"]) as hydra:
        configs = list(hydra.configs(hydra.jobs()))
    assert len(configs) == number
    assert {config["data"]["name"] for config in configs} == {"fashion_mnist"}
    assert {config["optim"]["batch_size"] for config in configs} == {512}


def archived(output: Path) -> None:
    axes = {"method": "mae", "encoder": "vit_micro", "depth": 12, "data": "fashion_mnist", "seed": 0}
    record = {"identity": "abc", "name": "one", "status": "finished", "axes": axes, "started": "2026-01-01T00:00:00Z"}
    head = {"archive": "mimbench results", "schema": 1, "sweep": "claims_by_depth"}
    run = {
        "name": "one",
        "record": record | {"schema": 1},
        "config": {},
        "metrics": "step,metric,value\n",
        "correct": {},
    }
    (output / science.ARCHIVE).write_text("".join(json.dumps(line) + "\n" for line in (head, run)))


def test_finished_runs_are_taken_from_the_archive_of_another_machine(tmp_path: Path) -> None:
    output, work = tmp_path / "output", tmp_path / "work"
    output.mkdir()
    setting = Setting("cpu", True, output, work, tmp_path)
    assert science.restore(setting) == 0
    archived(output)
    assert science.restore(setting) == 1
    assert json.loads((work / "runs/claims_by_depth/one" / RECORD).read_text())["status"] == "finished"
    assert science.restore(setting) == 0
