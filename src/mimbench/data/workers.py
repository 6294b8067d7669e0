"""Loader processes that outlive the signals which ask a run to stop."""

import os
import signal
import threading


def outlive_signals(worker: int) -> None:
    """A `worker_init_fn`: leaves stopping to the process that loads.

    SLURM, and a terminal's Ctrl-C, signal all processes of a run. The run then finishes its step and saves, for which
    it may need another batch; PyTorch would fail it as soon as a worker is gone. The loading process itself ends its
    workers with SIGTERM as before, and they end when it is gone.
    """
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # Linux tells who has sent a signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_obey_the_parent, args=(os.getppid(),), daemon=True).start()


def _obey_the_parent(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
