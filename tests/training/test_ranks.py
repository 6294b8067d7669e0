"""Two ranks train like one, and resume exactly."""

import signal
from collections.abc import Callable
from typing import Any

import pytest
import torch
from signalling import INTERRUPTED, Fault

Make = Callable[..., Any]
FP64 = {"precision": "64-true"}


TRAININGS = [
    pytest.param({}, id="masks by image"),
    pytest.param({"shared": True}, id="one mask per step"),
    *({"newer": name} for name in ("mff", "crossmae", "simmim", "ijepa")),
]


@pytest.mark.parametrize("options", TRAININGS)
def test_two_ranks_train_like_one_at_the_same_effective_batch(new_trial: Make, options: dict[str, Any]) -> None:
    """In fp64, since the order of summation differs; each rank has half of every batch and accumulates."""
    one = new_trial("one", double=True, trainer_options=FP64, **options)
    halves = FP64 | {"accumulate_grad_batches": 2}
    two = new_trial("two", ranks=2, double=True, trainer_options=halves, **options)
    assert one.run() == [0]
    assert two.run() == [0, 0]
    assert (one.batches, two.batches) == (6, 12)
    torch.testing.assert_close(two.weights, one.weights, rtol=1e-8, atol=1e-10)
    for mine, theirs in zip(one.rows[1:], two.rows[1:], strict=True):
        (name, value), (other_name, other) = (row.rsplit(",", 1) for row in (mine, theirs))
        assert name == other_name
        assert float(value) == pytest.approx(float(other), rel=1e-6)  # logged as fp32


CASES = [
    pytest.param({}, Fault("on_train_batch_end", 4, signal.SIGTERM, rank=1), 4, id="within an epoch, sent to rank 1"),
    pytest.param({}, Fault("on_train_batch_start", 2, signal.SIGUSR1), 2, id="sent to rank 0"),
    pytest.param({"num_workers": 2}, Fault("on_train_batch_end", 5, signal.SIGUSR2, rank=1), 5, id="two workers"),
    pytest.param(
        {"trainer_options": {"accumulate_grad_batches": 2}},
        Fault("on_train_batch_end", 3, signal.SIGTERM, rank=1),
        2,
        id="during accumulation",
    ),
    pytest.param({}, Fault("on_validation_batch_start", 1, signal.SIGTERM, rank=1), 3, id="during validation"),
]


@pytest.mark.parametrize(("options", "fault", "step"), CASES)
def test_ranks_stop_together_and_resume_exactly(
    new_trial: Make, options: dict[str, Any], fault: Fault, step: int
) -> None:
    whole, parts = (new_trial(name, ranks=2, **options) for name in ("whole", "parts"))
    assert whole.run() == [0, 0]
    assert parts.run(fault) == [INTERRUPTED, INTERRUPTED]
    assert parts.output.count(f"at step {step};") == 2
    assert parts.run() == [0, 0]
    assert parts.same(whole)
    accumulated = options.get("trainer_options", {}).get("accumulate_grad_batches", 1)
    assert parts.batches == 6 * accumulated


def test_a_signal_before_the_first_step_stops_both_ranks(new_trial: Make) -> None:
    trial = new_trial("run", ranks=2)
    assert trial.run(Fault("on_train_start", 1, signal.SIGTERM, rank=1)) == [INTERRUPTED, INTERRUPTED]
    assert trial.output.count("before the first step") == 2
    assert trial.batches == 0
