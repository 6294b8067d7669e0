"""Loader processes that ignore the signals that stop a run, need little shared memory, and end with a reason."""

import errno
import logging
import os
import pickle
import re
import resource
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, NamedTuple

from torch.utils.data import DataLoader, get_worker_info

from mimbench.core.errors import UserError

log = logging.getLogger(__name__)
MOST_WORKERS = 10
SHARED = Path("/dev/shm")  # where PyTorch keeps what processes share, on Linux
_PLENTY = 2**30  # free bytes from which on the size of batches is not looked at
_NO_ROOM, _NO_FILES = 73, 74  # exit status of a process that found no shared memory, or may open no further file
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def machine_workers() -> int:
    """Loader processes for this machine: one per core that this process may use but one, at most `MOST_WORKERS`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_WORKERS, cores - 1)


class LoaderProcessError(UserError):
    """A loader process ended; the message says why, and what to do."""


class SteadyLoader(DataLoader[Any]):
    """Makes a worker ignore signals that do not come from its parent process; copies batches if they cannot be shared.

    SLURM and Ctrl-C in a terminal send signals to all processes of a run. The run then finishes its step and saves, for
    which it may need another batch; if a worker ended, PyTorch would raise an error. The parent ends its workers with
    SIGTERM, and workers end when the parent is gone.

    Containers often have 64 MB of shared memory. Where it is too small for a batch of every worker, batches are copied
    through pipes, which is slower.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, worker_init_fn=_prepare, **options)
        self.collate_fn = _Sender(self.collate_fn)

    def __iter__(self) -> Any:
        # Workers inherit the signal mask, as do threads that PyTorch starts in them before this function is called.
        former = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        try:
            return _received(super().__iter__())
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)


class _Copied(NamedTuple):
    """A batch that does not use shared memory."""

    content: bytes


class _Sender:
    """Collates a batch, and copies it in a worker if shared memory has no room for one batch per worker."""

    def __init__(self, collate: Callable[[Any], Any]) -> None:
        self.collate = collate

    def __call__(self, items: Any) -> Any:
        batch, worker = self.collate(items), get_worker_info()
        if worker is None or (free := free_shared_memory()) >= _PLENTY:
            return batch
        content = pickle.dumps(batch, pickle.HIGHEST_PROTOCOL)
        return _Copied(content) if (worker.num_workers + 1) * len(content) > free else batch


def _received(batches: Iterator[Any]) -> Iterator[Any]:
    with explained_workers(getattr(batches, "_workers", ())):
        for batch in batches:
            if isinstance(batch, _Copied):
                _warn_of_copies()
                yield pickle.loads(batch.content)  # from a process of this run
            else:
                yield batch


@cache
def _warn_of_copies() -> None:
    """Once per process."""
    log.warning(
        "%s has %.0f MB free, too few for the batches of the loader processes; they are copied, which is slower. More "
        "shared memory: docker run --shm-size=2g.",
        SHARED,
        free_shared_memory() / 1e6,
    )


def free_shared_memory() -> float:
    """Free bytes of shared memory; infinite where they are not known."""
    try:
        space = os.statvfs(SHARED)
    except OSError:
        return float("inf")
    return space.f_bavail * space.f_frsize


@contextmanager
def explained_workers(processes: Iterable[Any] = ()) -> Iterator[None]:
    """Raises LoaderProcessError in place of PyTorch's error of a loader process that ended.

    Args:
        processes: The loader processes, if they are known; not every error says how they ended.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        statuses = [process.exitcode for process in processes if process.exitcode]
        raise LoaderProcessError(_explain(statuses[0] if statuses else _status(str(error)))) from error


def _status(error: str) -> int | None:
    """Exit status of a process from PyTorch's error, negative for a signal as in `multiprocessing`."""
    for number in (signal.SIGKILL, signal.SIGBUS):
        if f"signal: {signal.strsignal(number)}" in error:
            return -number
    found = re.search(r"exit code (\d+)", error)
    return int(found[1]) if found else None


def _explain(status: int | None) -> str:
    if status in (_NO_ROOM, -signal.SIGBUS):
        free = free_shared_memory() / 1e6
        return (
            f"The loader processes need more shared memory than {SHARED} has ({free:.0f} MB free). Enlarge it (docker "
            "run --shm-size=2g), or set data.num_workers=0."
        )
    if status == _NO_FILES:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return (
            f"The loader processes need more open files than the limit of {limit}. Raise it (ulimit -n), or set "
            "data.num_workers=0."
        )
    if status == -signal.SIGKILL:
        return (
            "The system killed a loader process, as it does when memory runs out. Set a lower data.num_workers, or "
            "give this run more memory."
        )
    how = "" if status is None else f" with exit status {status}"
    return f"A loader process ended unexpectedly{how}. data.num_workers=0 shows errors where they happen."


def _prepare(worker: int) -> None:
    # Python's hook for what the thread that sends batches cannot send; by default the batch would be missing for ever.
    Queue._on_queue_feeder_error = staticmethod(_end)  # pyright: ignore[reportAttributeAccessIssue]
    _outlive_signals(worker)


def _end(error: BaseException, batch: Any) -> None:
    if os.strerror(errno.EMFILE) in str(error):
        os._exit(_NO_FILES)
    if "shared memory" in str(error):
        os._exit(_NO_ROOM)
    traceback.print_exception(error)
    os._exit(1)


def _outlive_signals(worker: int) -> None:
    if hasattr(signal, "sigwaitinfo"):  # Linux provides the sender of a signal
        threading.Thread(target=_obey_the_parent, args=(os.getppid(),), daemon=True).start()
    else:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _obey_the_parent(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
