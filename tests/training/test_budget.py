"""Training budgets."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import lightning as L
import pytest
import torch

from mimbench.optim import Recipe, warmup_cosine
from mimbench.training import Budget, InterruptedRun, Progress, SecondsBudget

Make = Callable[..., Any]


class Each(L.Callback):
    """Calls functions whenever a hook runs."""

    def __init__(self, **hooks: Callable[..., None]):
        for name, function in hooks.items():
            setattr(self, name, function)


class Clock:
    """Replaces `time.perf_counter` in Progress: time passes only in training steps, by given amounts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.now = 0.0
        monkeypatch.setattr("mimbench.training.budget._WINDOW", 0.1)  # so that 20 steps suffice for a measurement
        monkeypatch.setattr("mimbench.training.progress.time.perf_counter", lambda: self.now)

    def steps(self, *seconds: float) -> Any:
        """A callback that makes step k take seconds[k], and all further steps the last value."""
        waiting = list(seconds)

        def pass_time(*_: Any) -> None:
            self.now += waiting.pop(0) if len(waiting) > 1 else waiting[0]

        return Each(on_train_batch_start=pass_time)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize(
    ("budget", "steps"),
    [({"epochs": 3}, 12), ({"steps": 7}, 7), ({"flops": 999}, 9), ({"flops": 1e3}, 10), ({"seconds": 5}, None)],
)
def test_all_budgets_except_seconds_are_converted_to_steps(budget: dict[str, Any], steps: int | None) -> None:
    assert Budget(**budget).total_steps(4, 100.0) == steps


def test_a_budget_below_one_step_is_refused() -> None:
    with pytest.raises(ValueError, match="less than one step, which takes 100"):
        Budget(flops=99).total_steps(4, 100.0)


@pytest.mark.parametrize(
    "budget",
    [
        {},
        {"epochs": 1, "flops": 1e9},
        {"epochs": 0},
        {"epochs": 1.5},
        {"epochs": True},
        {"steps": -1},
        {"flops": 0},
        {"flops": float("inf")},
        {"flops": True},
        {"seconds": float("nan")},
    ],
)
def test_invalid_budgets_are_refused(budget: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="budget"):
        Budget(**budget)


def test_seconds_are_converted_to_the_steps_that_fit(new_run: Make, clock: Clock) -> None:
    result = new_run(seconds=20, checkpoint_every_n_epochs=100).train([clock.steps(1.0)])
    assert result.steps == 20
    assert result.device_seconds == pytest.approx(20.0)


def test_start_up_counts_against_the_budget_and_is_not_extrapolated(new_run: Make, clock: Clock) -> None:
    result = new_run(seconds=20, checkpoint_every_n_epochs=100).train([clock.steps(6.0, 1.0)])
    assert result.steps == 15
    assert result.device_seconds == pytest.approx(20.0)


def test_a_run_of_seconds_equals_one_of_as_many_steps(new_run: Make, clock: Clock, method: Make) -> None:
    """Bit for bit, since the warm-up (nine steps) is longer than the measurement of the pace (eight)."""
    recipe = Recipe(base_lr=2e-2, warmup_epochs=3)
    by_seconds, by_steps = new_run("seconds", seconds=20, checkpoint_every_n_epochs=100), new_run("steps", steps=20)
    by_seconds.train([clock.steps(1.0)], method=method(recipe=recipe))
    by_steps.train(method=method(recipe=recipe))
    assert by_seconds.same(by_steps)


def test_the_rate_stays_at_its_peak_until_the_pace_is_known_and_then_falls_to_the_end(
    new_run: Make, clock: Clock, method: Make
) -> None:
    rates: dict[int, float] = {}

    def record(trainer: Any, *_: Any) -> None:
        rates[trainer.global_step] = trainer.optimizers[0].param_groups[0]["lr"]

    recipe = Recipe(base_lr=2e-2, warmup_epochs=0)
    new_run(seconds=20, checkpoint_every_n_epochs=100).train(
        [clock.steps(1.0), Each(on_train_batch_start=record)], method=method(recipe=recipe)
    )
    peak = recipe.peak_lr(16)
    assert [rates[k] for k in range(9)] == [peak] * 9
    assert [rates[k] for k in range(9, 20)] == pytest.approx([peak * warmup_cosine(k, 20, 0) for k in range(9, 20)])


def test_a_resumed_run_keeps_the_total_it_measured(new_run: Make, do: Make, clock: Clock) -> None:
    """Although every step is ten times slower after the interruption."""
    run = new_run(seconds=20, checkpoint_every_n_epochs=100)
    with pytest.raises(InterruptedRun):
        run.train([clock.steps(1.0), do("on_train_batch_end", 8, lambda *_: os.kill(os.getpid(), signal.SIGINT))])
    result = run.train([clock.steps(10.0)])
    assert result.steps == 20
    assert result.device_seconds == pytest.approx(8 + 12 * 10)


def test_stopped_and_resumed_equals_uninterrupted(new_run: Make, do: Make, clock: Clock) -> None:
    whole, parts = (
        new_run("whole", seconds=20, checkpoint_every_n_epochs=100),
        new_run("parts", seconds=20, checkpoint_every_n_epochs=100),
    )
    whole.train([clock.steps(1.0)])
    stop = do("on_train_batch_end", 9, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(InterruptedRun):
        parts.train([clock.steps(1.0), stop])
    parts.train([clock.steps(1.0)])
    assert parts.same(whole)


def test_a_run_interrupted_before_the_pace_is_known_measures_it_again(new_run: Make, do: Make, clock: Clock) -> None:
    """The first step after the interruption is slow and does not count in the measurement."""
    run = new_run(seconds=20, checkpoint_every_n_epochs=100)
    with pytest.raises(InterruptedRun):
        run.train([clock.steps(0.1), do("on_train_batch_end", 3, lambda *_: os.kill(os.getpid(), signal.SIGINT))])
    result = run.train([clock.steps(5.0, 1.0)])
    assert result.device_seconds == pytest.approx(20.0, abs=1.0)


def test_a_budget_used_up_by_the_first_steps_ends_there(new_run: Make, clock: Clock) -> None:
    assert new_run(seconds=3).train([clock.steps(5.0)]).steps == 2


def test_a_finished_run_of_seconds_trains_no_further(new_run: Make, clock: Clock) -> None:
    run = new_run(seconds=20, checkpoint_every_n_epochs=100)
    first = run.train([clock.steps(1.0)])
    assert run.train([clock.steps(1.0)]) == first


def test_the_real_clock_ends_a_run_near_its_budget(new_run: Make) -> None:
    slow = Each(on_train_batch_start=lambda *_: time.sleep(0.02))
    result = new_run(seconds=1.5).train([slow])
    assert 0.75 < result.device_seconds < 3.0  # within a factor of two, since other processes share the machine


def test_seconds_of_two_devices_count_twice() -> None:
    progress = Progress()
    progress._clock = time.perf_counter() - 3.0
    progress._update_clock(Mock(spec=L.Trainer, world_size=2))
    assert progress.device_seconds == pytest.approx(2 * progress.seconds)
    assert progress.seconds == pytest.approx(3.0, abs=0.5)


def test_the_total_is_in_the_checkpoint(new_run: Make, clock: Clock) -> None:
    run = new_run(seconds=20, checkpoint_every_n_epochs=100)
    run.train([clock.steps(1.0)])
    states = torch.load(run.checkpoint, weights_only=True)["callbacks"]
    assert states[SecondsBudget.__qualname__] == {"total": 20}
