"""Properties of pre-training with any method."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor

from mimbench.optim import Recipe, warmup_cosine
from mimbench.targets import HOGTarget
from mimbench.targets.hog import Votes
from mimbench.training import NonFiniteLossError

Make = Callable[..., Any]


class Watch(L.Callback):
    """Records the learning rate, the images and the resulting weights of every optimizer step."""

    def __init__(self) -> None:
        self.rates: dict[int, float] = {}
        self.images: dict[int, list[int]] = {}
        self.weights: list[dict[str, Tensor]] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.rates[trainer.global_step] = trainer.optimizers[0].param_groups[0]["lr"]
        self.images.setdefault(trainer.global_step, []).extend(batch.index.tolist())

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step > len(self.weights):
            self.weights.append({name: value.clone() for name, value in pl_module.state_dict().items()})


@pytest.mark.parametrize(("budget", "total"), [({"epochs": 3}, 9), ({"steps": 7}, 7)], ids=["epochs", "steps"])
def test_the_schedule_ends_exactly_at_the_budget(new_run: Make, budget: dict[str, int], total: int) -> None:
    watch = Watch()
    new_run(**budget).train([watch])
    peak = 2e-2 * 16 / 256
    assert list(watch.rates) == list(range(total))
    assert list(watch.rates.values()) == pytest.approx([peak * warmup_cosine(k, total, 3) for k in range(total)])


@pytest.mark.parametrize(("budget", "last"), [({"epochs": 2}, 5), ({"steps": 5}, 4)], ids=["epochs", "steps"])
def test_the_last_step_is_logged_and_validated(new_run: Make, budget: dict[str, int], last: int) -> None:
    run = new_run(**budget)
    result = run.train()
    assert run.values("train/loss")[-1][0] == run.values("val/loss")[-1][0] == run.values("lr")[-1][0] == last
    assert result.metrics["val/loss"] == run.values("val/loss")[-1][1]
    assert set(result.metrics) == {"train/loss", "val/loss", "lr", "throughput"}


def test_metrics_have_one_row_per_step_and_name(new_run: Make) -> None:
    run = new_run(epochs=4)
    run.train()
    keys = [tuple(row.split(",")[:2]) for row in run.rows]
    assert keys[0] == ("step", "metric")
    assert len(set(keys)) == len(keys)
    assert [step for step, _ in run.values("train/loss")] == [2, 5, 8, 11]
    assert [step for step, _ in run.values("val/loss")] == [2, 5, 8, 11]


def test_validation_hides_the_same_cells_in_every_epoch(new_run: Make, method: Make) -> None:
    run = new_run(epochs=3)
    run.train(method=method(recipe=Recipe(base_lr=0.0)))
    first, *others = [value for _, value in run.values("val/loss")]
    assert others == [first, first]


def test_weights_are_not_averaged_by_default(new_run: Make) -> None:
    watch, run = Watch(), new_run()
    run.train([watch])
    assert all(torch.equal(value, watch.weights[-1][name]) for name, value in run.weights.items())


def test_the_average_replaces_the_weights_at_the_end(new_run: Make) -> None:
    watch, run = Watch(), new_run(ema=0.8)
    run.train([watch])
    average = watch.weights[0]
    for weights in watch.weights[1:]:
        average = {name: 0.8 * value + 0.2 * weights[name] for name, value in average.items()}
    torch.testing.assert_close(run.weights, average)
    assert not torch.equal(run.weights["encoder.trunk.cls_token"], watch.weights[-1]["encoder.trunk.cls_token"])


def test_averaging_does_not_change_buffers(new_run: Make, method: Make) -> None:
    mae = method()
    mae.register_buffer("index", torch.arange(50))
    new_run(ema=0.9).train(method=mae)
    assert torch.equal(mae.index, torch.arange(50))


@pytest.mark.parametrize("shared", [False, True])
def test_accumulation_keeps_the_effective_batch(new_run: Make, method: Make, shared: bool) -> None:
    """In fp64, since the order of summation differs."""
    seen: list[Watch] = []
    losses: list[dict[str, float]] = []
    for accumulate in (1, 2, 4):
        watch, mae = Watch(), method().double()
        mae.masker.shared = shared
        options = {"accumulate_grad_batches": accumulate, "precision": "64-true"}
        run = new_run(f"by{accumulate}", trainer_options=options)
        run.train([watch], method=mae)
        seen.append(watch)
        losses.append({row.rpartition(",")[0]: float(row.rpartition(",")[2]) for row in run.rows[1:]})
    for other, logged in zip(seen[1:], losses[1:], strict=True):
        assert other.rates == seen[0].rates
        assert other.images == seen[0].images
        assert len(other.weights) == 6
        torch.testing.assert_close(other.weights[-1], seen[0].weights[-1], rtol=1e-8, atol=1e-10)
        # Logged as fp32; the loss of a step covers all its images.
        assert logged == pytest.approx(losses[0], rel=1e-6)


def test_mixed_precision_trains_with_weights_and_targets_in_fp32(new_run: Make, method: Make) -> None:
    kinds: dict[str, set[torch.dtype]] = {"target": set(), "prediction": set()}

    class Spy(HOGTarget):
        def values(self, prepared: Votes) -> Tensor:
            value = super().values(prepared)
            kinds["target"] |= {prepared.magnitude.dtype, value.dtype}
            return value

        def error(self, prediction: Tensor, value: Tensor) -> Tensor:
            kinds["prediction"].add(prediction.dtype)
            return super().error(prediction, value)

    run, mae = new_run(trainer_options={"precision": "bf16-mixed"}), method(Spy)
    result = run.train(method=mae)
    assert kinds == {"target": {torch.float32}, "prediction": {torch.bfloat16}}
    assert {p.dtype for p in mae.parameters()} == {torch.float32}
    assert 0 < result.metrics["train/loss"] < 10


def gradients(method: Any, images: Tensor) -> dict[str, Tensor]:
    method(images, method.draw_mask(torch.arange(len(images)), epoch=0)).loss.backward()
    return {name: p.grad for name, p in method.named_parameters() if p.grad is not None}


def test_gradient_checkpointing_gives_the_same_gradients(method: Make) -> None:
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    plain, saving = method(), method()
    saving.encoder.set_grad_checkpointing()
    recomputed: list[int] = []
    saving.encoder.trunk.blocks[0].register_forward_pre_hook(lambda *_: recomputed.append(1))
    expected, found = gradients(plain, images), gradients(saving, images)
    assert len(recomputed) == 2
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_compiling_in_place_keeps_the_names_of_weights(method: Make) -> None:
    mae = method()
    mae.encoder.compile()
    assert list(mae.state_dict()) == list(method().state_dict())


COMPILED = """
import sys, torch
from pathlib import Path
from tiny_runs import Run, make_method
plain, compiled, mae = Run(Path("plain"), {"epochs": 1}), Run(Path("compiled"), {"epochs": 1}), make_method()
plain.train()
mae.encoder.compile()
compiled.train(method=mae)
# Fused kernels round differently, and Adam's first steps amplify the difference.
torch.testing.assert_close(compiled.weights, plain.weights, rtol=1e-3, atol=1e-4)
"""


@pytest.mark.slow
def test_a_compiled_encoder_trains_to_the_same_weights(tmp_path: Path) -> None:
    # In a separate process, since the compiler cannot trace the shape checks that the tests add to every function.
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", COMPILED], cwd=tmp_path, env=environment, check=True)


def test_the_same_seed_trains_to_the_same_weights_and_another_does_not(new_run: Make, method: Make) -> None:
    runs = [new_run(name) for name in "abc"]
    for run, seed in zip(runs, (0, 0, 1), strict=True):
        mae = method()
        mae.seed = seed
        run.train(method=mae)
    assert runs[0].same(runs[1])
    assert not runs[0].same(runs[2])


@pytest.mark.parametrize("budget", [{"epochs": None}, {"epochs": 1, "steps": 1}])
def test_no_budget_and_two_budgets_are_refused(new_run: Make, budget: dict[str, Any]) -> None:
    run = new_run()
    with pytest.raises(ValueError, match="exactly one of epochs, steps, flops and seconds"):
        run.train(**budget)
    assert not run.directory.exists()


def test_a_diverging_loss_fails_the_run(new_run: Make, method: Make) -> None:
    with pytest.raises(NonFiniteLossError):
        new_run(epochs=4).train(method=method(recipe=Recipe(base_lr=1e38, warmup_epochs=0)))
