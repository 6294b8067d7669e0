"""Signals: the first saves and stops, a second interrupt stops at once."""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from mimbench.training import InterruptedRun, StopSignals

Make = Callable[..., Any]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Checks that every test restores the signal handlers."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before


def send(*numbers: int) -> Callable[..., None]:
    return lambda *_: [os.kill(os.getpid(), number) for number in numbers] and None


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("hook", ["on_train_batch_start", "on_train_batch_end"])
def test_a_signal_saves_after_the_step_and_stops(new_run: Make, do: Make, number: signal.Signals, hook: str) -> None:
    run = new_run()
    with pytest.raises(InterruptedRun, match="at step 2; the same command"):
        run.train([do(hook, 2, send(number))])
    assert torch.load(run.checkpoint, weights_only=True)["global_step"] == 2


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_accumulated_gradients_are_not_lost(new_run: Make, do: Make, number: signal.Signals) -> None:
    run = new_run(trainer_options={"accumulate_grad_batches": 4})
    with pytest.raises(InterruptedRun, match="at step 1;"):
        run.train([do("on_train_batch_end", 1, send(number))])


def test_a_signal_during_validation_stops_before_the_next_epoch(new_run: Make, do: Make) -> None:
    run = new_run()
    with pytest.raises(InterruptedRun, match="at step 3;"):
        run.train([do("on_validation_batch_start", 1, send(signal.SIGTERM))])
    assert run.values("val/loss")


def test_a_signal_at_the_end_still_stops_the_finished_training(new_run: Make, do: Make) -> None:
    run = new_run()
    with pytest.raises(InterruptedRun, match="at step 6;"):
        run.train([do("on_train_end", 1, send(signal.SIGINT))])
    assert run.train([do("on_train_batch_start", 1, send(signal.SIGKILL))]).images == 96


def test_a_second_interrupt_stops_at_once_without_saving(new_run: Make, do: Make) -> None:
    run = new_run()
    with pytest.raises(KeyboardInterrupt):
        run.train([do("on_train_batch_start", 2, send(signal.SIGINT, signal.SIGINT))])
    assert not run.checkpoint.exists()


def test_a_repeated_termination_still_saves(new_run: Make, do: Make) -> None:
    run = new_run()
    with pytest.raises(InterruptedRun):
        run.train([do("on_train_batch_start", 2, send(signal.SIGTERM, signal.SIGTERM))])
    assert run.checkpoint.exists()


def test_an_interrupt_before_training_is_a_keyboard_interrupt(new_run: Make, do: Make) -> None:
    with pytest.raises(KeyboardInterrupt):
        new_run().train([do("on_fit_start", 1, send(signal.SIGINT))])


def test_handlers_are_restored_after_a_finished_and_a_failed_run(new_run: Make, do: Make) -> None:
    new_run("finished").train()

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        new_run("failed").train([do("on_train_batch_end", 1, fail)])


def receive(number: int, defer: bool = False) -> str:
    """Sends itself a signal within the context, and returns unless that raises."""
    with StopSignals() as signals:
        if defer:
            signals.defer()
        os.kill(os.getpid(), number)
        done.append(number)
    return "returned"


done: list[int] = []


@pytest.mark.parametrize("number", SIGNALS[1:], ids=lambda number: number.name)
def test_outside_training_a_signal_stops_at_once(number: signal.Signals) -> None:
    done.clear()
    with pytest.raises(InterruptedRun, match=f"Stopped by {number.name} outside training"):
        receive(number)
    assert not done


def test_ctrl_c_outside_training_is_a_keyboard_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt):
        receive(signal.SIGINT)


def test_a_deferred_signal_raises_at_the_end_of_the_context() -> None:
    done.clear()
    with pytest.raises(InterruptedRun, match="Stopped by SIGUSR2 after the last step"):
        receive(signal.SIGUSR2, defer=True)
    assert done == [signal.SIGUSR2]


def test_inner_contexts_restore_the_outer_handlers(new_run: Make) -> None:
    with StopSignals() as outer:
        new_run().train()
        with pytest.raises(InterruptedRun, match="outside training"):
            os.kill(os.getpid(), signal.SIGTERM)
        assert outer.received is signal.SIGTERM


def test_a_forked_process_ignores_signals() -> None:
    with StopSignals() as signals:
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert signals.received is None


def test_lightnings_handlers_are_not_installed(new_run: Make, do: Make) -> None:
    """They would call a collective operation in the handler and kill other ranks."""
    seen: list[Any] = []
    new_run().train([do("on_train_start", 1, lambda *_: seen.append(signal.getsignal(signal.SIGTERM)))])
    assert isinstance(seen[0].__self__, StopSignals)


def test_a_signal_between_setup_and_the_first_step_stops_before_it(new_run: Make, do: Make) -> None:
    run = new_run()
    with pytest.raises(InterruptedRun, match="before the first step"):
        run.train([do("on_train_start", 1, send(signal.SIGTERM)), do("on_train_batch_start", 1, send(signal.SIGKILL))])
    assert not run.checkpoint.exists()
