"""Signals that ask a run to stop."""

import os
import signal
import threading
from types import FrameType


class InterruptedRun(Exception):
    """A signal asked the run to stop; its state is saved."""


class StopSignals:
    """Remembers SIGINT and SIGTERM instead of obeying at once; a second SIGINT raises KeyboardInterrupt.

    Attributes:
        received: Whether there was one.
    """

    def __init__(self) -> None:
        self.received = False
        self._process = os.getpid()

    def install(self) -> None:
        """Takes over the handlers. Lightning puts the former ones back at the end of a fit, however it ends."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        # Loader processes inherit this handler. They outlive a first signal to the whole group, so that the run can
        # finish its step; a second one ends them.
        if self.received and (number == signal.SIGINT or os.getpid() != self._process):
            raise KeyboardInterrupt
        self.received = True
