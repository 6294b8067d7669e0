"""Loader processes end with the process that loads, and with nothing else."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from mimbench.data import ImageDataModule, Shapes

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


@pytest.fixture
def loader() -> DataLoader[Any]:
    data = ImageDataModule(Shapes(8, num_train=40, num_val=8, num_test=8), batch_size=8, num_workers=2)
    return data.train_dataloader()


@pytest.fixture(autouse=True)
def _handled() -> Iterator[None]:
    former = [signal.signal(number, lambda *_: None) for number in SIGNALS]
    yield
    for number, handler in zip(SIGNALS, former, strict=True):
        signal.signal(number, handler)


def pids(loader: DataLoader[Any]) -> list[int]:
    return [worker.pid for worker in loader._iterator._workers]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_from_elsewhere_costs_no_batch(loader: DataLoader[Any], number: signal.Signals) -> None:
    expected = [batch.index for batch in loader]
    iterator = iter(loader)
    found = [next(iterator).index]
    sender = os.fork()
    if sender == 0:  # SLURM's daemon, say
        for pid in pids(loader):
            os.kill(pid, number)
        os._exit(0)
    os.waitpid(sender, 0)
    found += [batch.index for batch in iterator]
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_only_the_thread_that_waits_for_a_signal_can_take_it(loader: DataLoader[Any]) -> None:
    next(iter(loader))
    for pid in pids(loader):
        free = [number for thread in Path(f"/proc/{pid}/task").iterdir() for number in unblocked(thread)]
        assert free in ([], [signal.SIGTERM])


def unblocked(thread: Path) -> list[signal.Signals]:
    (blocked,) = re.findall(r"SigBlk:\s*(\w+)", (thread / "status").read_text())
    return [number for number in SIGNALS if not int(blocked, 16) >> (number - 1) & 1]


def test_the_loading_process_keeps_its_signals(loader: DataLoader[Any]) -> None:
    next(iter(loader))
    assert not set(SIGNALS) & signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_the_loading_process_still_ends_them(loader: DataLoader[Any]) -> None:
    next(iter(loader))
    workers = loader._iterator._workers
    for worker in workers:
        worker.terminate()
        worker.join(5)
        assert worker.exitcode == 0
    loader._iterator._shutdown_workers()
