"""`mimbench plan`."""

import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from rich.console import Console

from mimbench.cli import main
from mimbench.cli.plan_table import amount, hours, power, show
from mimbench.experiments.planning.plan import EstimatedCost, EstimatedRun, totals
from mimbench.runs.state import State

Plan = Callable[..., dict[str, Any]]
SMALL = ["encoder.width=32", "method.dim=32", "method.num_blocks=1", "method.num_heads=4"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    GlobalHydra.instance().clear()


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """The plan as JSON."""

    def call(*words: str) -> dict[str, Any]:
        path = tmp_path.with_suffix(".json")
        assert main(["plan", *SMALL, *words, "--json", str(path)]) == 0
        return json.loads(path.read_text())

    return call


def test_a_plan_names_every_run_and_writes_nothing(
    plan: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = plan("-m", "method=untrained,mae,mirl", "encoder.depth=4,5", "data=digits", "budget.epochs=2")
    told = capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    assert len(planned["runs"]) == 6
    assert [run["state"] for run in planned["runs"]].count("refused") == 1
    assert all(run["identity"] in told for run in planned["runs"])
    assert "MIRL needs an even depth" in told
    assert planned["totals"]["states"] == {"planned": 5, "refused": 1}
    assert "assumed: 40% of" in told


def test_a_plan_says_what_the_run_then_records(plan: Plan, tmp_path: Path) -> None:
    words = ["data=digits", "budget.epochs=2", "protocol=[]", "callbacks=none", "method=localmim", "sweep=s"]
    [planned] = plan(*words)["runs"]
    assert main(["run", *SMALL, *words]) == 0
    [path] = (tmp_path / "runs" / "s").glob("*/record.json")
    record, cost = json.loads(path.read_text()), planned["cost"]
    assert (planned["identity"], planned["name"], planned["axes"]) == (
        record["identity"],
        record["name"],
        record["axes"],
    )
    assert cost["parameters"] == record["cost"]["parameters"]
    assert cost["tokens"] == record["cost"]["tokens_per_image"]
    assert cost["flops"] | {"total": sum(cost["flops"].values())} == record["cost"]["flops_per_image"]
    assert planned["training_flops"] == record["cost"]["training_flops"]
    assert (cost["steps"], cost["images"]) == (record["cost"]["train_steps"], record["cost"]["images_seen"])

    # The finished run is known, but too short to measure a pace.
    record["cost"]["device_seconds"] = 9.0  # whatever it was on this machine
    path.write_text(json.dumps(record))
    assert plan(*words, "seed=1")["runs"][0]["cost"]["pace"].endswith("finished runs took less than 10 s")
    record["cost"]["device_seconds"] = 11.0
    path.write_text(json.dumps(record))

    # The pace of a longer one serves others, and its hours are those of a CPU.
    first, second = plan(*words, "seed=0,1")["runs"]
    assert (first["state"], first["gpu_hours_left"]) == ("finished", 0.0)
    assert second["state"] == "planned"
    assert second["cost"]["pace"].startswith("measured: 1 run on CPU")
    assert second["cost"]["gpu_hours"] == 0
    assert second["cost"]["cpu_hours"] == pytest.approx(
        second["cost"]["images"] / second["cost"]["images_per_second"] / 3600
    )
    assert second["cost"]["images_per_second"] == pytest.approx(
        record["cost"]["images_seen"] / record["cost"]["device_seconds"]
    )


@pytest.mark.parametrize(
    ("budget", "steps"),
    [
        (["budget.epochs=3"], 3 * (45_000 // 256)),
        (["budget=steps", "budget.steps=7"], 7),
        (["budget=seconds", "budget.seconds=512", "--images-per-second=100"], 200),
    ],
)
def test_steps_are_those_of_the_budget(plan: Plan, budget: list[str], steps: int) -> None:
    [run] = plan("data=cifar10", *budget)["runs"]
    assert run["cost"]["steps"] == steps
    assert run["cost"]["images"] == steps * 256


def test_methods_at_equal_flops_differ_by_less_than_a_step(plan: Plan) -> None:
    runs = plan("-m", "method=mae,deepmim,localmim,mirl", "data=photos", "budget=flops", "budget.flops=1e12")["runs"]
    assert len({run["cost"]["steps"] for run in runs}) > 1
    for run in runs:
        step = 256 * run["cost"]["training_flops_per_image"]
        assert 1e12 - step < run["training_flops"] <= 1e12


def test_gpu_hours_follow_from_the_given_pace(plan: Plan) -> None:
    planned = plan("data=cifar10", "budget.epochs=10", "--images-per-second", "1000")
    [run] = planned["runs"]
    assert run["cost"]["gpu_hours"] == pytest.approx(run["cost"]["images"] / 1000 / 3600)
    assert planned["totals"]["gpu_hours"] == run["gpu_hours_left"] == run["cost"]["gpu_hours"]


def test_a_budget_of_seconds_is_its_own_estimate(plan: Plan) -> None:
    [run] = plan("data=photos", "budget=seconds", "budget.seconds=7200")["runs"]
    assert run["cost"]["gpu_hours"] == 2.0


def test_data_that_are_not_here_leave_the_sums_unknown(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    planned = plan("data=folder", "data.source.root=elsewhere")
    [run] = planned["runs"]
    assert run["cost"]["steps"] is None
    assert run["cost"]["gpu_hours"] is None
    assert run["cost"]["parameters"]["encoder"] > 0
    assert planned["totals"]["unknown"] == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "1 run whose data are not available: --images N" in told
    assert "? training FLOPs" in told
    assert "? GPU-hours" in told


def test_the_number_of_images_of_missing_data_can_be_given(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    [run] = plan("data=folder", "data.source.root=elsewhere", "budget.epochs=2", "--images", "25600")["runs"]
    assert run["cost"]["steps"] == 200
    assert run["cost"]["gpu_hours"] > 0
    assert "25,600 training images given" in capsys.readouterr().out
    [known] = plan("data=digits", "budget.epochs=2", "--images", "25600")["runs"]
    assert known["cost"]["steps"] == 2 * (1155 // 256)


def test_recipes_of_imagenet_know_its_size(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    [run] = plan("experiment=mae_vit_base_1600", "encoder=vit_micro", "encoder.depth=1")["runs"]
    assert run["cost"]["steps"] == 1600 * 312  # as published: 1,281,167 // 4096 steps per epoch
    assert "1,280,167 training images of ImageNet-1k assumed" in " ".join(capsys.readouterr().out.split())


def test_hours_of_cpus_and_gpus_are_not_added() -> None:
    runs = [_run(gpu_hours=2.0), _run(cpu_hours=3.0), _run(cpu_hours=1.0, state=State.FINISHED)]
    sums = totals(runs)
    assert (sums.gpu_hours, sums.cpu_hours, sums.cpu_hours_left) == (2.0, 4.0, 3.0)
    console = Console(width=140, record=True, file=io.StringIO())
    show(runs, console)
    told = console.export_text()
    assert "2 GPU-hours, of which 2 remain, 4 CPU-hours, of which 3 remain" in told
    hours_of_runs = [" ".join(line.split()[-2:]) for line in told.splitlines() if line.startswith("0 ")]
    assert hours_of_runs == ["2 GPU", "3 CPU", "1 CPU"]


def _run(state: State = State.PLANNED, **cost: float) -> EstimatedRun:
    axes = {"method": "mae", "encoder": "vit", "depth": 4, "data": "photos", "seed": 0}
    done = 1.0 if state == State.FINISHED else 0.0
    return EstimatedRun("0", "name", axes, [], state, done=done, cost=EstimatedCost(training_flops_per_image=1, **cost))


def test_the_words_of_a_cluster_do_not_matter(plan: Plan) -> None:
    [run] = plan("data=digits", "hydra/launcher=slurm", "hydra.launcher.partition=gpu")["runs"]
    assert run["state"] == "planned"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["optim.base_lrr=1,2"], "optim.base_lr"),
        (["method=mirl", "encoder.depth=5"], "even depth"),
        (["--mfu=3"], "--mfu"),
        (["--gpu=abacus"], "abacus"),
        (["--images-per-second=0"], "--images-per-second"),
        (["--foo"], "--foo"),
        (["--images=0"], "--images"),
        (["+data.source.holdout=0.1"], "has no argument 'holdout'"),
        (["data=digits", "optim.batch_size=2000"], "larger than the training set of 1155"),
        (["budget=flops", "budget.flops=10"], "less than one step"),
        (["--json", "."], "--json"),
    ],
)
def test_mistakes_are_told_in_one_line(words: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *words]) == 2
    told = capsys.readouterr().err
    assert told.startswith("mimbench plan: ")
    assert hint in told
    assert len(told.splitlines()) == 1


@pytest.mark.slow
def test_a_hundred_cells_are_planned_in_seconds(plan: Plan) -> None:
    """Seeds share a model. Twenty seconds are promised, on a quiet machine; here for process time."""
    begin = time.process_time()
    words = ["experiment=mae_vit_base_1600", "data=cifar10", "encoder.width=192", "encoder.depth=4,8,12,16"]
    runs = plan("-m", *words, "method=mae,deepmim,localmim,mirl,untrained", "seed=0,1,2,3,4")["runs"]
    assert len({run["identity"] for run in runs}) == 100
    assert time.process_time() - begin < 20


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (999, "999"), (85_798_656, "85.8M"), (1.2e15, "1.2P")])
def test_amounts_have_three_digits(value: float, text: str) -> None:
    assert amount(value) == text


def test_small_and_unknown_numbers_stay_readable() -> None:
    assert (power(1.234e18), power(None)) == ("1.23e18", "?")
    assert (hours(1e-5), hours(0.0), hours(1234.5), hours(None)) == ("< 0.01", "0", "1,234", "?")
