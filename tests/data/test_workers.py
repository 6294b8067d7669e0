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

from mimbench.data import ImageDataModule, Shapes, workers
from mimbench.data.workers import LoaderProcessError

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


def test_batches_are_copied_where_shared_memory_is_too_small(
    loader: DataLoader[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = list(loader)
    workers._warn_of_copies.cache_clear()
    monkeypatch.setattr(workers, "free_shared_memory", lambda: 1000.0)
    data = ImageDataModule(Shapes(8, num_train=40, num_val=8, num_test=8), batch_size=8, num_workers=2)
    for found, batch in zip(data.train_dataloader(), expected, strict=True):
        assert type(found) is type(batch)
        assert all(torch.equal(a, b) for a, b in zip(found, batch, strict=True))
    (record,) = caplog.records
    assert "0 MB free" in record.getMessage()


def test_a_worker_without_room_for_its_batch_ends_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def share(*_: Any) -> None:
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch>: No space left on device (28)")

    monkeypatch.setattr(torch.UntypedStorage, "_share_fd_cpu_", share)
    data = ImageDataModule(Shapes(8, num_train=40, num_val=8, num_test=8), batch_size=8, num_workers=2)
    with pytest.raises(LoaderProcessError, match=r"more shared memory than /dev/shm .* data\.num_workers=0"):
        list(data.plain("val"))


def test_a_killed_worker_is_an_error_with_the_remedy() -> None:
    data = ImageDataModule(Shapes(8, num_train=400, num_val=8, num_test=8), batch_size=8, num_workers=2)
    loader = data.train_dataloader()
    batches = iter(loader)
    next(batches)
    for pid in pids(loader):
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(LoaderProcessError, match=r"system killed a loader process.*lower data\.num_workers"):
        list(batches)


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        ("DataLoader worker (pid 7) is killed by signal: Killed. ", "killed a loader process"),
        ("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that", "more shared memory"),
        ("DataLoader worker (pid 7) exited unexpectedly with exit code 73. Details are", "more shared memory"),
        ("DataLoader worker (pid 7) exited unexpectedly with exit code 3. Details are", "with exit status 3."),
        ("DataLoader worker (pid(s) 7, 8) exited unexpectedly", "ended unexpectedly."),
    ],
)
def test_pytorchs_words_for_a_lost_worker_are_explained(error: str, answer: str) -> None:
    with pytest.raises(LoaderProcessError, match=answer), workers.explained_workers():
        raise RuntimeError(error)


def test_other_errors_of_a_loader_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"), workers.explained_workers():
        raise RuntimeError("size mismatch")
