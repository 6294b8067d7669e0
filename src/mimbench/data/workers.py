"""Loader processes that ignore the signals that stop a run."""

import os
import signal
import threading
from typing import Any

from torch.utils.data import DataLoader

MOST_WORKERS = 10
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def machine_workers() -> int:
    """Loader processes for this machine: one per core that this process may use but one, at most `MOST_WORKERS`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_WORKERS, cores - 1)


class SteadyLoader(DataLoader[Any]):
    """Makes a worker ignore signals that do not come from its parent process.

    SLURM and Ctrl-C in a terminal send signals to all processes of a run. The run then finishes its step and saves, for
    which it may need another batch; if a worker ended, PyTorch would raise an error. The parent ends its workers with
    SIGTERM, and workers end when the parent is gone.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, worker_init_fn=_outlive_signals, **options)

    def __iter__(self) -> Any:
        # Workers inherit the signal mask, as do threads that PyTorch starts in them before this function is called.
        former = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        try:
            return super().__iter__()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _outlive_signals(worker: int) -> None:
    if hasattr(signal, "sigwaitinfo"):  # Linux provides the sender of a signal
        threading.Thread(target=_obey_the_parent, args=(os.getppid(),), daemon=True).start()
    else:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _obey_the_parent(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
