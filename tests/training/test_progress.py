"""Progress and throughput of a run."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from mimbench.training import InterruptedRun

Make = Callable[..., Any]


def interrupt(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def nap(*_: Any) -> None:
    time.sleep(0.4)


def test_images_of_all_steps_are_counted(new_run: Make) -> None:
    result = new_run(epochs=3).train()
    assert result.images == 3 * 48
    assert result.images_per_second == pytest.approx(result.images / result.seconds)


def test_images_and_seconds_survive_an_interruption(new_run: Make, do: Make) -> None:
    run = new_run(epochs=2)
    with pytest.raises(InterruptedRun):
        run.train([do("on_train_batch_start", 5, nap), do("on_train_batch_end", 5, interrupt)])
    start = time.perf_counter()
    result = run.train()
    assert result.images == 96
    assert 0.4 < result.seconds < 0.4 + (time.perf_counter() - start) + 5


def test_only_training_is_timed(new_run: Make, do: Make) -> None:
    naps = [do(hook, 1, nap) for hook in ("on_validation_start", "on_train_epoch_end", "on_train_end")]
    start = time.perf_counter()
    seconds = new_run(epochs=1).train(naps).seconds
    assert seconds < time.perf_counter() - start - 1.2


def test_a_line_contains_step_percentage_loss_and_throughput(new_run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    new_run().train()
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("step 1/6 (17%)  loss ")
    assert first.endswith(" images/s")
