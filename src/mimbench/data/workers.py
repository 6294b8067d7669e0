"""Loader processes that outlive the signals which ask a run to stop."""

import os
import signal
import threading
from typing import Any

from torch.utils.data import DataLoader

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class SteadyLoader(DataLoader[Any]):
    """Leaves stopping to the process that loads.

    SLURM, and a terminal's Ctrl-C, signal all processes of a run. The run then finishes its step and saves, for which
    it may need another batch; PyTorch would fail it as soon as a worker is gone. The loading process itself ends its
    workers with SIGTERM as before, and they end when it is gone.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, worker_init_fn=_outlive_signals, **options)

    def __iter__(self) -> Any:
        # Workers inherit the mask, and so does every thread that PyTorch starts in them before they call us.
        former = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        try:
            return super().__iter__()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _outlive_signals(worker: int) -> None:
    if hasattr(signal, "sigwaitinfo"):  # Linux tells who has sent a signal
        threading.Thread(target=_obey_the_parent, args=(os.getppid(),), daemon=True).start()
    else:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _obey_the_parent(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
